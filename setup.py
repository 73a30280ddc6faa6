"""Packages of the wheel; everything else is in pyproject.toml.

`configs/` lies at the top of the repository, in one copy, and is installed as the data of
`vidrestore.presets`. A package outside its parent's folder cannot be found by a pattern, so the
list is made here.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vidrestore*"]), "vidrestore.presets"],
    package_dir={"vidrestore.presets": "configs"},
)
