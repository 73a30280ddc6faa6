"""Runs that nothing stops: a plan, an analysis, segments restored one by one, and a join.

    folder = prepare("tape.mp4", "restored.mkv", config)   # vidrestore.jobs.plan
    analyse(folder)                                        # vidrestore.jobs.analysis
    for number in range(count_segments(folder)):           # vidrestore.jobs.segments
        restore_segment(folder, number)                    # vidrestore.jobs.segment
    report = join(folder)                                  # vidrestore.jobs.join

Each of these may run in a process, or on a machine, of its own, as far as they see the same paths;
segments in any order, several at once. Each can be killed at any moment and called again: what is
stored is whole, since every file is written under a temporary name, brought to the disk and
renamed. `restore_segment` of a segment that is stored already does nothing. A segment's packets
depend on input, plan and analysis alone, so that two workers that hold one by mistake write the
same bytes; if they do not, the first one's stay, and `join` refuses them.

The folder lies beside the output (`.vr-<hash of the output's name>.job`), or in `--work DIR`:

    plan.json                 input's identity, configuration, models, backend, version, codec
    analysis/00000.json, ...  chunks of at most ten seconds: tracks, cuts, times and a hash of every
                              decoded frame, and noise
    state.json                what detecting and tracking go on from behind the last chunk
    analysis.json             written once the analysis is complete: what it found in all
    segments.json             the borders, by number of frame
    segments/00000.packets    a restored segment: encoded packets, what was counted, what its frames
                              show, and by what it was restored; its being there means that it is
                              done
    segments/00000.differs.json   it was restored twice, and came out differently

A run of one process (`vidrestore.jobs.whole`) holds the output's lock, and removes the folder once
the output has its name. It makes one pass (`vidrestore.jobs.one_pass`): frames are restored and
encoded as they are analysed, and chunks and segments stored as they are whole, in order, neither
waiting for the other. `analysis.json` comes before the last segment. What it leaves when it is
stopped, these functions go on with, and it with what they leave; where the analysis is complete, it
restores the segments that are missing, wherever they are. Executors that call the functions above
hold the lock, or leases of their own, themselves.
"""
