"""Validates OCSF events, one a line on standard input, and prints how many there are of each class."""

import collections
import json
import pathlib
import sys

import jsonschema_rs

schema = json.loads((pathlib.Path(__file__).parent / "ocsf.schema.json").read_text())
validator = jsonschema_rs.Draft202012Validator(schema)
classes = collections.Counter()
for number, line in enumerate(sys.stdin, 1):
    event = json.loads(line)
    for error in validator.iter_errors(event):
        sys.exit(f"line {number}: {error.message}\n{json.dumps(event, indent=1)}")
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"], event
    classes[event["class_name"]] += 1
print(json.dumps(classes))
