//! OpenTimelineIO JSON: schemas Timeline.1, Stack.1, Track.1, Clip.2, Gap.1, Transition.1,
//! ExternalReference.1 of <https://github.com/AcademySoftwareFoundation/OpenTimelineIO>.

use super::segments::{pictures, sounds};
use super::{Plan, url};
use serde_json::{Value, json};

/// The plan as an OTIO timeline of one picture and one sound track.
pub fn otio(plan: &Plan<'_>) -> String {
    let mut tracks = vec![picture_track(plan)];
    tracks.extend(sound_track(plan));
    let timeline = json!({
        "OTIO_SCHEMA": "Timeline.1",
        "metadata": {},
        "name": plan.title(),
        "global_start_time": null,
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "metadata": {},
            "name": "tracks",
            "source_range": null,
            "effects": [],
            "markers": [],
            "enabled": true,
            "children": tracks,
        },
    });
    format!("{timeline:#}\n")
}

fn picture_track(plan: &Plan<'_>) -> Value {
    let rate = plan.clip.rate.per_second();
    let available = range(0, plan.clip.frames, rate);
    let mut children = Vec::new();
    for picture in pictures(plan) {
        let length = picture.output.end - picture.output.start;
        children.push(match picture.source {
            Some(source) => clip(plan, &range(source.start, length, rate), &available),
            None => gap(plan, picture.insertion, &range(0, length, rate)),
        });
        if picture.dissolve > 0 {
            children.push(json!({
                "OTIO_SCHEMA": "Transition.1",
                "metadata": {},
                "name": "",
                "transition_type": "SMPTE_Dissolve",
                "in_offset": time(picture.dissolve, rate),
                "out_offset": time(picture.dissolve, rate),
            }));
        }
    }
    track("Video", &children)
}

fn sound_track(plan: &Plan<'_>) -> Option<Value> {
    let sound = plan.clip.sound?;
    let rate = f64::from(sound.rate.hertz());
    let available = range(0, sound.samples, rate);
    let children: Vec<Value> = sounds(plan)
        .into_iter()
        .map(|part| {
            let length = part.output.end.since(part.output.start);
            match part.source {
                Some(source) => clip(plan, &range(source.start.0, length, rate), &available),
                None => gap(plan, part.insertion, &range(0, length, rate)),
            }
        })
        .collect();
    Some(track("Audio", &children))
}

fn track(kind: &str, children: &[Value]) -> Value {
    json!({
        "OTIO_SCHEMA": "Track.1",
        "metadata": {},
        "name": kind,
        "kind": kind,
        "source_range": null,
        "effects": [],
        "markers": [],
        "enabled": true,
        "children": children,
    })
}

fn clip(plan: &Plan<'_>, source_range: &Value, available: &Value) -> Value {
    json!({
        "OTIO_SCHEMA": "Clip.2",
        "metadata": {},
        "name": plan.clip.name,
        "source_range": source_range,
        "effects": [],
        "markers": [],
        "enabled": true,
        "active_media_reference_key": "DEFAULT_MEDIA",
        "media_references": {
            "DEFAULT_MEDIA": {
                "OTIO_SCHEMA": "ExternalReference.1",
                "metadata": {},
                "name": plan.clip.name,
                "available_range": available,
                "available_image_bounds": null,
                "target_url": url(&plan.clip.path),
            },
        },
    })
}

fn gap(plan: &Plan<'_>, insertion: Option<usize>, source_range: &Value) -> Value {
    let label = insertion
        .map(|insertion| plan.label(insertion))
        .unwrap_or_default();
    json!({
        "OTIO_SCHEMA": "Gap.1",
        "metadata": { "reword": { "insertion": insertion, "says": label } },
        "name": label,
        "source_range": source_range,
        "effects": [],
        "markers": [],
        "enabled": true,
    })
}

fn range(start: u64, duration: u64, rate: f64) -> Value {
    json!({
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": time(start, rate),
        "duration": time(duration, rate),
    })
}

fn time(value: u64, rate: f64) -> Value {
    json!({ "OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value as f64 })
}
