"""Figures know no font of the machine, which takes time to look for and differs from one to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FONTS = """
import json
from landscape_audit.cli.caches import caches_apart

with caches_apart():
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontProperties, findfont, fontManager
    styles = ({}, {"weight": "bold"}, {"style": "italic"})
    found = [findfont(FontProperties(family="DejaVu Sans", **style)) for style in styles]
print(json.dumps([get_data_path(), sorted({font.fname for font in fontManager.ttflist}), found]))
"""


def fonts(**environment: str):
    done = subprocess.run(
        [sys.executable, "-c", FONTS], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_figures_are_set_in_the_fonts_of_matplotlib_and_no_other_is_looked_for(monkeypatch):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    data, known, found = fonts()
    assert known == sorted(f"{data}/fonts/ttf/DejaVuSans{end}.ttf" for end in ("", "-Bold", "-BoldOblique", "-Oblique"))
    assert found == [os.path.realpath(f"{data}/fonts/ttf/DejaVuSans{end}.ttf") for end in ("", "-Bold", "-Oblique")]


def test_a_folder_that_a_user_names_is_left_to_matplotlib(tmp_path):
    assert len(fonts(MPLCONFIGDIR=str(tmp_path))[1]) > 4


@pytest.mark.parametrize("source", [None, "class FontManager:\n    __version__ = 3\n"])
def test_where_the_form_of_the_list_is_not_known_none_is_written(source, tmp_path, monkeypatch):
    from landscape_audit.cli import font_list

    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").touch()
    if source is not None:
        (tmp_path / "matplotlib" / "font_manager.py").write_text(source)
    spec = font_list.importlib.util.spec_from_file_location("matplotlib", tmp_path / "matplotlib" / "__init__.py")
    monkeypatch.setattr(font_list.importlib.util, "find_spec", lambda _: spec)
    font_list.write_font_list(tmp_path)
    assert not list(tmp_path.glob("fontlist*"))
