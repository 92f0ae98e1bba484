"""Evaluates the report of mcp-fuzzer, whose exit code is always 0."""

import json
import pathlib
import sys

# Reported when a mutated message happens to be valid and gets a response; not a defect.
ACCEPTED = "accepted_malformed"


def main(folder: pathlib.Path) -> None:
    findings = json.loads((folder / "findings.json").read_text())["findings"]
    serious = [finding for finding in findings if finding["category"] != ACCEPTED]
    for finding in serious:
        print(finding["category"], finding["target"], finding["detail"])
    (report,) = folder.glob("sessions/*/*_fuzzing_results.json")
    data = json.loads(report.read_text())["data"]
    tools, types = data["tools_tested"], data["protocol_types_tested"]
    assert len(tools) == 4 and len(types) > 20, "the fuzzer did not cover all tools and message types"
    broken = sum(tool["outcomes"][outcome] for tool in tools for outcome in ("anomaly", "crashed", "exceptions"))
    runs = sum(tool["runs"] for tool in tools) + sum(message["runs"] for message in types)
    print(f"{runs} messages of {len(types)} types and to {len(tools)} tools; {len(serious)} findings, {broken} broken responses")
    sys.exit(bool(serious or broken))


main(pathlib.Path(sys.argv[1]))
