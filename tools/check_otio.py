#!/usr/bin/env python3
"""Read OTIO files (or insta snapshots of them) with the reference library and check their tracks.

    pip install opentimelineio==0.18.1
    tools/check_otio.py crates/edit/tests/snapshots/exports__otio_has_both_tracks.snap
"""

import pathlib
import sys

import opentimelineio as otio


def read(path: str) -> otio.schema.Timeline:
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if path.endswith(".snap"):
        text = text[text.index("{") :]
    return otio.adapters.read_from_string(text, "otio_json")


def check(path: str) -> None:
    timeline = read(path)
    if not isinstance(timeline, otio.schema.Timeline):
        sys.exit(f"{path}: not a Timeline but {type(timeline).__name__}")
    for track in timeline.tracks:
        duration = track.duration()
        clips = sum(isinstance(item, otio.schema.Clip) for item in track)
        gaps = sum(isinstance(item, otio.schema.Gap) for item in track)
        transitions = sum(isinstance(item, otio.schema.Transition) for item in track)
        for item in track:
            if isinstance(item, otio.schema.Clip):
                available, taken = item.media_reference.available_range, item.source_range
                inside = (
                    available.start_time <= taken.start_time
                    and taken.end_time_exclusive() <= available.end_time_exclusive()
                )
                if not inside:
                    sys.exit(f"{path}: {item.name} takes {taken}, beyond {available}")
            if isinstance(item, otio.schema.Transition):
                before, after = track.neighbors_of(item)
                if before is None or after is None:
                    sys.exit(f"{path}: a transition without neighbours")
        print(
            f"{path}: {track.kind}: {duration.to_seconds():.3f} s,"
            f" {clips} clips, {gaps} gaps, {transitions} transitions"
        )
    # What the library writes must read back as the same.
    again = otio.adapters.read_from_string(
        otio.adapters.write_to_string(timeline, "otio_json"), "otio_json"
    )
    if not again.is_equivalent_to(timeline):
        sys.exit(f"{path}: does not survive a round trip")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        check(name)
