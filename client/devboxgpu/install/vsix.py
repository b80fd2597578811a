"""The VS Code extension as a VSIX: a zip of the files in `vscode/` and what VS Code's installer wants beside them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from importlib import resources
from xml.sax.saxutils import escape, quoteattr

from devboxgpu import __version__

FILE_NAME = "devboxgpu.vsix"
EXTENSION_ID = "devboxgpu.devboxgpu"
COMMAND_FILE = "command.json"
FILES = ("package.json", "extension.js", "sessions.js", "README.md", "LICENSE.txt", "icon.png")
CONTENT_TYPES = {
    ".json": "application/json",
    ".js": "application/javascript",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".png": "image/png",
    ".vsixmanifest": "text/xml",
}
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def file_of_extension(name: str) -> bytes:
    return (resources.files("devboxgpu") / "vscode" / name).read_bytes()


def vsix(command: Sequence[str]) -> bytes:
    """The VSIX for a machine where this command is started so; the same bytes every time."""
    package = json.loads(file_of_extension("package.json"))
    package["version"] = __version__
    written = {name: file_of_extension(name) for name in FILES}
    written["package.json"] = _json(package)
    written[COMMAND_FILE] = _json({"command": list(command)})
    parts = {
        "extension.vsixmanifest": _manifest(package).encode(),
        "[Content_Types].xml": _content_types().encode(),
        **{f"extension/{name}": content for name, content in written.items()},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content)  # stored: the same with every zlib
    return packed.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _manifest(package: dict[str, object]) -> str:
    """The manifest that Visual Studio's package format asks for, as VS Code's own packager fills it."""

    def said(name: str) -> str:
        return escape(str(package[name]))

    def attribute(name: str) -> str:
        return quoteattr(str(package[name]))

    engines, kinds = package["engines"], package["extensionKind"]
    engine = quoteattr(str(engines["vscode"])) if isinstance(engines, dict) else '""'
    kind = quoteattr(",".join(kinds)) if isinstance(kinds, list) else '""'
    code = "Microsoft.VisualStudio.Code"
    return f"""<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011" \
xmlns:d="http://schemas.microsoft.com/developer/vsx-schema-design/2011">
  <Metadata>
    <Identity Language="en-US" Id={attribute("name")} Version={attribute("version")} \
Publisher={attribute("publisher")} />
    <DisplayName>{said("displayName")}</DisplayName>
    <Description xml:space="preserve">{said("description")}</Description>
    <Tags></Tags>
    <Categories>Other</Categories>
    <GalleryFlags>Public</GalleryFlags>
    <Properties>
      <Property Id="{code}.Engine" Value={engine} />
      <Property Id="{code}.ExtensionDependencies" Value="" />
      <Property Id="{code}.ExtensionPack" Value="" />
      <Property Id="{code}.ExtensionKind" Value={kind} />
      <Property Id="{code}.LocalizedLanguages" Value="" />
      <Property Id="{code}.EnabledApiProposals" Value="" />
      <Property Id="{code}.ExecutesCode" Value="true" />
    </Properties>
    <License>extension/LICENSE.txt</License>
    <Icon>extension/icon.png</Icon>
  </Metadata>
  <Installation>
    <InstallationTarget Id="{code}" />
  </Installation>
  <Dependencies />
  <Assets>
    <Asset Type="{code}.Manifest" Path="extension/package.json" Addressable="true" />
    <Asset Type="Microsoft.VisualStudio.Services.Content.Details" Path="extension/README.md" Addressable="true" />
    <Asset Type="Microsoft.VisualStudio.Services.Content.License" Path="extension/LICENSE.txt" Addressable="true" />
    <Asset Type="Microsoft.VisualStudio.Services.Icons.Default" Path="extension/icon.png" Addressable="true" />
  </Assets>
</PackageManifest>
"""


def _content_types() -> str:
    known = "".join(
        f'<Default Extension="{ending}" ContentType="{kind}"/>' for ending, kind in sorted(CONTENT_TYPES.items())
    )
    namespace = "http://schemas.openxmlformats.org/package/2006/content-types"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<Types xmlns="{namespace}">{known}</Types>\n'
