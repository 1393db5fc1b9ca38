//! Which recorded moment lends its lips to a frame.
//!
//! X-Dub (arXiv 2512.25066) shows its model a counterpart: the same picture with other lips, so
//! that lips come from the sound and all else from the picture. Here counterparts are frames of
//! the clip itself, with the lips of another moment laid over. Among the moments near in time and
//! pose, the path is chosen whose mouths are nearest to those that the sound asks for and follow
//! each other as recorded ones do (Viterbi; the way of concatenative speech, and of Video Rewrite,
//! Bregler et al. 1997). The model then makes what no moment shows.

use units::FrameIndex;

use super::mouth::{MOUTH, Mouth};

/// A recorded frame whose lips may be lent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub frame: FrameIndex,
    /// Which shot it is from: lips are lent within one.
    pub scene: usize,
    pub mouth: Mouth,
    /// How the head is held: three points of the nose, crop pixels, x and y by turns.
    pub pose: [f32; 6],
}

/// What a frame needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wish {
    /// The source frame that is shown.
    pub shown: FrameIndex,
    /// As in [`Moment::scene`].
    pub scene: usize,
    pub mouth: Mouth,
    /// As in [`Moment::pose`].
    pub pose: [f32; 6],
}

/// Weight of the opening, and of each component of the shape.
const OPENING: f32 = 1.0;
const SHAPE: f32 = 0.15;

/// Weight of a squared crop pixel of pose.
const POSE: f32 = 0.02;

/// Weight of a step that the recording does not show, and what each costs at least.
const STEP: f32 = 1.0;
const JUMP: f32 = 0.1;

/// Source frames around the shown one among which moments are sought: lighting and posture are
/// still the same there.
pub const REACH: u64 = 250;

/// Source frames around the shown one that do not lend it their lips: its own movement is the one
/// that has to go, and its neighbours show it too.
const APART: u64 = 8;

/// Moments that are weighed for a frame; fewer than a byte counts.
const CANDIDATES: usize = 40;

/// The moments whose lips go to consecutive frames. `moments` are in rising order of frames.
/// `before` and `after` are the recorded frames beside the first and the last, which keep their own
/// lips. Empty where there are no moments.
pub fn choose(
    wishes: &[Wish],
    moments: &[Moment],
    before: Option<FrameIndex>,
    after: Option<FrameIndex>,
) -> Vec<FrameIndex> {
    let place = |frame: Option<FrameIndex>| {
        moments
            .binary_search_by_key(&frame?, |moment| moment.frame)
            .ok()
    };
    // Cost of the best path to each candidate of the frame before.
    let mut costs: Vec<f32> = Vec::new();
    let mut columns: Vec<Column> = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let here = candidates(wish, moments);
        let mut reached = Vec::with_capacity(here.len());
        let mut column = Column::default();
        for &(moment, own) in &here {
            let (from, cost) = match columns.last() {
                None => (
                    0,
                    place(before).map_or(0.0, |from| step(moments, from, moment)),
                ),
                Some(earlier) => earlier
                    .moments
                    .iter()
                    .zip(&costs)
                    .map(|(&from, cost)| cost + step(moments, from as usize, moment))
                    .enumerate()
                    .min_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap_or((0, 0.0)),
            };
            reached.push(cost + own);
            column.moments.push(moment as u32);
            column.origins.push(from as u8);
        }
        costs = reached;
        columns.push(column);
    }
    let Some(last) = columns.last() else {
        return Vec::new();
    };
    let end = last
        .moments
        .iter()
        .zip(&costs)
        .map(|(&from, cost)| cost + place(after).map_or(0.0, |to| step(moments, from as usize, to)))
        .enumerate()
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let Some((mut at, _)) = end else {
        return Vec::new();
    };
    let mut path = Vec::with_capacity(wishes.len());
    for column in columns.iter().rev() {
        let moment = column.moments.get(at);
        let moment = moment.and_then(|&moment| moments.get(moment as usize));
        path.extend(moment.map(|moment| moment.frame));
        at = column.origins.get(at).copied().map_or(0, usize::from);
    }
    path.reverse();
    path
}

/// The candidates of a frame, and from which candidate of the frame before the best path comes. Small numbers: there is
/// a column for every frame of a clip.
#[derive(Default)]
struct Column {
    moments: Vec<u32>,
    origins: Vec<u8>,
}

/// The best moments for a wish by themselves, with their costs.
fn candidates(wish: &Wish, moments: &[Moment]) -> Vec<(usize, f32)> {
    let reach = wish.shown.0.saturating_sub(REACH)..=wish.shown.0.saturating_add(REACH);
    let start = moments.partition_point(|moment| moment.frame.0 < *reach.start());
    let end = moments.partition_point(|moment| moment.frame.0 <= *reach.end());
    let range = if start < end {
        start..end
    } else {
        0..moments.len()
    };
    // Where a shot is too short for others, it lends what it has; one without any face that can
    // lend takes what is near.
    let same = |moment: &Moment| moment.scene == wish.scene;
    let apart = |moment: &Moment| moment.frame.0.abs_diff(wish.shown.0) > APART;
    let near = moments.get(range.clone()).unwrap_or_default();
    let others = near.iter().any(|moment| same(moment) && apart(moment));
    let any = near.iter().any(same);
    let mut found: Vec<(usize, f32)> = near
        .iter()
        .enumerate()
        .filter(|(_, moment)| (!others || apart(moment)) && (!any || same(moment)))
        .map(|(index, moment)| (range.start + index, moment))
        .map(|(index, moment)| {
            let squares = wish
                .pose
                .iter()
                .zip(&moment.pose)
                .map(|(a, b)| (a - b).powi(2));
            let pose = squares.sum::<f32>() / wish.pose.len() as f32;
            (index, distance(&wish.mouth, &moment.mouth) + POSE * pose)
        })
        .collect();
    found.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    found.truncate(CANDIDATES);
    found
}

/// What it costs to show moment `to` right after moment `from`: nothing if that was recorded so,
/// else as much as it differs from what was.
fn step(moments: &[Moment], from: usize, to: usize) -> f32 {
    let (Some(a), Some(b)) = (moments.get(from), moments.get(to)) else {
        return 0.0;
    };
    if b.frame == a.frame + 1 {
        return 0.0;
    }
    let follows = moments
        .get(from + 1)
        .filter(|next| next.frame == a.frame + 1);
    STEP * (distance(&follows.unwrap_or(a).mouth, &b.mouth) + JUMP)
}

fn distance(a: &Mouth, b: &Mouth) -> f32 {
    (0..MOUTH)
        .map(|k| {
            let weight = if k == 0 { OPENING } else { SHAPE };
            weight * (a[k] - b[k]).powi(2)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(frame: u64, opening: f32, nose: f32) -> Moment {
        let mut mouth = [0.0; MOUTH];
        mouth[0] = opening;
        Moment {
            frame: FrameIndex(frame),
            scene: 0,
            mouth,
            pose: [nose; 6],
        }
    }

    fn wish(moment: &Moment, opening: f32) -> Wish {
        let mut mouth = moment.mouth;
        mouth[0] = opening;
        Wish {
            shown: moment.frame,
            scene: moment.scene,
            mouth,
            pose: moment.pose,
        }
    }

    #[test]
    fn what_was_recorded_is_found_again() {
        // The wanted mouths are those of frames 40 to 49, over frames 5 to 14.
        let moments: Vec<Moment> = (0..60)
            .map(|n| moment(n, (n as f32 * 0.7).sin() + (n as f32 * 0.13).cos(), 3.0))
            .collect();
        let wishes: Vec<Wish> = (0..10)
            .map(|n| wish(&moments[5 + n], moments[40 + n].mouth[0]))
            .collect();
        let path = choose(&wishes, &moments, None, None);
        assert_eq!(path, (40..50).map(FrameIndex).collect::<Vec<_>>());
    }

    #[test]
    fn a_head_held_otherwise_lends_no_lips_and_nothing_far_away_does() {
        let mut moments: Vec<Moment> = (0..40).map(|n| moment(n, 0.0, 0.0)).collect();
        moments[20] = moment(20, 2.0, 60.0);
        moments[30] = moment(30, 1.7, 0.0);
        moments.push(moment(2000, 2.0, 0.0));
        let path = choose(&[wish(&moments[3], 2.0)], &moments, None, None);
        assert_eq!(path, vec![FrameIndex(30)]);
        assert!(choose(&[wish(&moments[3], 2.0)], &[], None, None).is_empty());
        // Nor does another shot.
        moments[30].scene = 1;
        moments[35] = moment(35, 0.5, 0.0);
        let path = choose(&[wish(&moments[3], 2.0)], &moments, None, None);
        assert_eq!(path, vec![FrameIndex(35)]);
    }

    #[test]
    fn the_first_lips_lead_on_from_the_recorded_ones_and_never_are_the_frames_own() {
        // The mouth before the range is wide open; two moments fit alike, one of them follows a
        // mouth that was open too.
        let mut moments: Vec<Moment> = (0..90).map(|n| moment(n, 0.0, 0.0)).collect();
        moments[9] = moment(9, 2.0, 0.0);
        moments[10] = moment(10, 1.5, 0.0);
        moments[40] = moment(40, 1.0, 0.0);
        moments[60] = moment(60, 1.4, 0.0);
        let path = choose(
            &[wish(&moments[10], 1.2)],
            &moments,
            Some(FrameIndex(9)),
            None,
        );
        assert_eq!(path, vec![FrameIndex(60)]);
    }

    proptest! {
        #[test]
        fn every_wish_gets_a_moment_within_reach(
            openings in prop::collection::vec(-2.0_f32..2.0, 1..80),
            wanted in prop::collection::vec((0_usize..80, -2.0_f32..2.0), 1..30),
        ) {
            let moments: Vec<Moment> = openings
                .iter()
                .enumerate()
                .map(|(n, opening)| moment(7 * n as u64, *opening, 0.0))
                .collect();
            let wishes: Vec<Wish> = wanted
                .iter()
                .map(|(n, opening)| wish(&moments[n % moments.len()], *opening))
                .collect();
            let path = choose(&wishes, &moments, None, None);
            prop_assert_eq!(path.len(), wishes.len());
            for (frame, wish) in path.iter().zip(&wishes) {
                prop_assert!(frame.0.abs_diff(wish.shown.0) <= REACH);
                prop_assert!(moments.iter().any(|moment| moment.frame == *frame));
            }
        }
    }
}
