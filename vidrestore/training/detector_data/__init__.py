"""Made-up scenes that teach the face detector: cut-out faces on made-up backgrounds, spoiled as
old video spoils them.

No real clip is used. A `FaceBank` holds the labelled face pictures at 256 px with a matte (hair and
shoulders included) for each; `SceneComposer` composes a scene from it, with textures cut from
scikit-image's pictures and from the faces' surroundings, and hard negatives: single eyes and
mouths, shuffled faces, skin- and hair-coloured blobs, text. Everything random comes from one
``numpy.random.Generator`` per scene, so scene ``i`` of seed ``s`` is always the same.

Pictures are (H, W, 3) uint8 RGB; boxes ``x0, y0, x1, y1`` and landmarks (5, 2) are in pixels of
their picture.
"""

from vidrestore.training.detector_data.augment import augment_image
from vidrestore.training.detector_data.compose import (
    MAX_FACES,
    Scene,
    SceneComposer,
    assign_targets,
    asymmetry,
    rotate_scene,
)
from vidrestore.training.detector_data.face_bank import (
    BANK_PX,
    FaceBank,
    bank_source,
    build_face_bank,
    find_sources,
    is_kept_from,
    person_matte,
)
from vidrestore.training.detector_data.morph import find_similar_entry, morph
from vidrestore.training.detector_data.paste import draw_hand
from vidrestore.training.detector_data.textures import (
    TEXTURE_NAMES,
    light_from_side,
    load_textures,
    texture_folder,
)

__all__ = [
    "BANK_PX",
    "MAX_FACES",
    "TEXTURE_NAMES",
    "FaceBank",
    "Scene",
    "SceneComposer",
    "assign_targets",
    "asymmetry",
    "augment_image",
    "bank_source",
    "build_face_bank",
    "draw_hand",
    "find_similar_entry",
    "find_sources",
    "is_kept_from",
    "light_from_side",
    "load_textures",
    "morph",
    "person_matte",
    "rotate_scene",
    "texture_folder",
]
