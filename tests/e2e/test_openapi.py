"""The deployed routes against the OpenAPI document: schemathesis, with the document's examples.

`make fuzz` looks at every route, with every value the document draws a line at, and at what
follows from an answer.
"""

from collections import defaultdict

import pytest

from tests import fuzz
from tests.house.test_openapi import document

pytestmark = pytest.mark.e2e

# What becomes of these is a matter of how far a render has got, or of whether a film is there yet.
BY_STATE = {"getFilm", "abandon", "attach", "cancel", "redeliver", "remaster", "resume", "retry"}


@pytest.mark.long
@pytest.mark.timeout(600)  # some dozen requests: seconds, or minutes on a busy machine
def test_no_route_answers_what_the_document_does_not_say(cloud, tmp_path):
    tally = tmp_path / "tally"

    done = fuzz.run(cloud.endpoints, tally, "--phases", "examples", "--no-shrink")

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    answered = defaultdict(set)
    for line in tally.read_text().splitlines():
        operation, status = line.split()
        answered[operation].add(int(status))
    # Those that the document has no example of are about a render or a run that has to be there.
    names = {
        operation["operationId"]
        for operations in document()["paths"].values()
        for operation in operations.values()
    }
    assert answered.keys() <= names
    assert len(answered) > len(names) / 2
    # A run in which everything was refused would have shown nothing.
    refused = {name for name, statuses in answered.items() if min(statuses) >= 300}
    assert {name for name in refused if not name.startswith(tuple(BY_STATE))} == set()


def test_the_document_is_served(cloud):
    answer = cloud.call("GET", "/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == document()
