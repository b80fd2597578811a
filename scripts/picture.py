"""The picture of a shell in the docs, taken of a real one in a local cloud of its own: `python -m scripts.picture`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from localcloud.stack import LocalCloud
from tests.e2e.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "shell.png"
FONTS = Path("/usr/share/fonts/truetype/dejavu")
COLUMNS, ROWS = 100, 24
SIZE, MARGIN = 16, 16
BACKGROUND, FOREGROUND = "#0c0c0c", "#cccccc"
COLOURS = {"green": "#16c60c", "cyan": "#61d6d6", "brown": "#f9f1a5", "red": "#e74856", "blue": "#3b78ff"}
ATTACHED = "Enter ~? for keys"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="devboxgpu-picture-") as folder:
        cloud = LocalCloud(Path(folder) / "cloud")
        cloud.up()
        try:
            terminal = worked_in(cloud, Path(folder))
        finally:
            cloud.down()
    PICTURE.parent.mkdir(exist_ok=True)
    painted(terminal).save(PICTURE, optimize=True)


def worked_in(cloud: LocalCloud, home: Path) -> Terminal:
    """A terminal on which somebody opened a shell, looked at the GPU, and left."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "DEVBOXGPU_ENDPOINT": cloud.endpoints["api"],
        "DEVBOXGPU_PROJECT": "demo",
        "DEVBOXGPU_LOCAL_IDENTITY": cloud.endpoints["identity"],
        "DEVBOXGPU_LOCAL_USER": "alice",
    }
    with Terminal([str(ROOT / ".venv/bin/devboxgpu"), "shell"], environment, columns=COLUMNS, rows=ROWS) as terminal:
        terminal.expect(ATTACHED)
        for words, answer in (("nvidia-smi", "none known"), ("python3 -c 'print(6 * 7)'", "42\r\n")):
            terminal.expect("# ")
            terminal.enter(words)
            terminal.expect(answer)
        terminal.expect("# ")
        terminal.enter("exit")
        terminal.exit_code()
    return terminal


def painted(terminal: Terminal) -> Image.Image:
    fonts = {bold: ImageFont.truetype(FONTS / f"DejaVuSansMono{'-Bold' if bold else ''}.ttf", SIZE) for bold in (0, 1)}
    width, height = fonts[0].getlength("M"), SIZE + 5
    used = len(terminal.text.splitlines())
    picture = Image.new("RGB", (round(COLUMNS * width) + 2 * MARGIN, used * height + 2 * MARGIN), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for row, cells in enumerate(terminal.cells()[:used]):
        for column, cell in enumerate(cells):
            at = (MARGIN + column * width, MARGIN + row * height)
            pen.text(at, cell.data, fill=COLOURS.get(cell.fg, FOREGROUND), font=fonts[cell.bold])
    return picture


if __name__ == "__main__":
    main()
