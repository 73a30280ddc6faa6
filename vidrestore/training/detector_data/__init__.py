"""Made-up scenes that teach the face detector: cut-out faces on made-up backgrounds, spoiled as
old video spoils them.

No real clip is used. A `FaceBank` holds the labelled face pictures at 256 px with a matte (hair and
shoulders included) for each; `SceneMaker` composes a scene from it, with textures cut from
scikit-image's pictures and from the faces' surroundings, and hard negatives: single eyes and
mouths, shuffled faces, skin- and hair-coloured blobs, text. Everything random comes from one
``numpy.random.Generator`` per scene, so scene ``i`` of seed ``s`` is always the same.

Pictures are (H, W, 3) uint8 RGB; boxes ``x0, y0, x1, y1`` and landmarks (5, 2) are in pixels of
their picture.
"""

from vidrestore.training.detector_data.augment import spoil
from vidrestore.training.detector_data.compose import (
    MAX_FACES,
    Scene,
    SceneMaker,
    asymmetry,
    scene_targets,
    turned_scene,
)
from vidrestore.training.detector_data.face_bank import (
    BANK_PX,
    FaceBank,
    bank_source,
    build_face_bank,
    kept_from,
    person_matte,
)
from vidrestore.training.detector_data.morph import alike, morphed
from vidrestore.training.detector_data.paste import draw_hand
from vidrestore.training.detector_data.textures import TEXTURE_NAMES, load_textures, side_lit

__all__ = [
    "BANK_PX",
    "MAX_FACES",
    "TEXTURE_NAMES",
    "FaceBank",
    "Scene",
    "SceneMaker",
    "alike",
    "asymmetry",
    "bank_source",
    "build_face_bank",
    "draw_hand",
    "kept_from",
    "load_textures",
    "morphed",
    "person_matte",
    "scene_targets",
    "side_lit",
    "spoil",
    "turned_scene",
]
