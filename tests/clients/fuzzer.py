"""What mcp-fuzzer found: its exit code is always 0, so its report has to be read."""

import json
import pathlib
import sys

# It says of each valid message that it made by chance, and that was answered, that something malformed was accepted.
ACCEPTED = "accepted_malformed"


def main(folder: pathlib.Path) -> None:
    findings = json.loads((folder / "findings.json").read_text())["findings"]
    serious = [finding for finding in findings if finding["category"] != ACCEPTED]
    for finding in serious:
        print(finding["category"], finding["target"], finding["detail"])
    (report,) = folder.glob("sessions/*/*_fuzzing_results.json")
    data = json.loads(report.read_text())["data"]
    tools, types = data["tools_tested"], data["protocol_types_tested"]
    assert len(tools) == 4 and len(types) > 20, "it did not try what there is"
    broken = sum(tool["outcomes"][kind] for tool in tools for kind in ("anomaly", "crashed", "exceptions"))
    runs = sum(tool["runs"] for tool in tools) + sum(kind["runs"] for kind in types)
    print(f"{runs} messages of {len(types)} kinds and to {len(tools)} tools; findings: {len(serious)}; broken answers: {broken}")
    sys.exit(bool(serious or broken))


main(pathlib.Path(sys.argv[1]))
