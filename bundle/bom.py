"""The bill of materials, in the shape of CycloneDX 1.6; nothing in it depends on the clock."""

from collections.abc import Iterable, Mapping
from email.message import Message
from typing import Any

from bundle.wheels import Wheel


def bill_of_materials(
    subject: Mapping[str, Any], digest: str, properties: Mapping[str, str], wheels: Iterable[Wheel]
) -> dict[str, Any]:
    """The bill of materials of a package.

    Args:
        subject: Name, version and license of what is packed.
        digest: SHA-256 of the zip.
        properties: Further facts about the package.
        wheels: The wheels that it was made from.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": subject["name"],
                "version": subject["version"],
                "purl": f"pkg:pypi/{subject['name']}@{subject['version']}",
                "licenses": [{"expression": subject["license"]}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "properties": [
                    {"name": f"{subject['name']}:{name}", "value": value}
                    for name, value in sorted(properties.items())
                ],
            }
        },
        "components": [_component(wheel) for wheel in wheels],
    }


def _component(wheel: Wheel) -> dict[str, Any]:
    return {
        "type": "library",
        "name": wheel.pin.name,
        "version": wheel.pin.version,
        "purl": f"pkg:pypi/{wheel.pin.name}@{wheel.pin.version}?file_name={wheel.path.name}",
        "licenses": _licenses(wheel.metadata()),
        "hashes": [{"alg": "SHA-256", "content": wheel.digest}],
    }


def _licenses(metadata: Message) -> list[dict[str, Any]]:
    if expression := metadata["License-Expression"]:
        return [{"expression": expression}]
    names = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", [])
        if classifier.startswith("License :: ")
    ]
    if not names and "\n" not in metadata.get("License", "\n"):  # some put the whole text there
        names = [metadata["License"]]
    return [{"license": {"name": name}} for name in names]
