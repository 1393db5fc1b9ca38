//! The measured face that every head starts from: 468 points in centimetres
//! (x to the head's left, y up, z out of the face) in `MediaPipe`'s numbering, so
//! that the truth of a frame is in the same numbering as a face tracker's answer.
//!
//! Source: `MediaPipe`'s canonical face model (Apache-2.0), see `tools/canonical-face`.

use crate::vec::Vec3;

#[rustfmt::skip]
mod table;

/// Number of points of the face.
pub(crate) const POINTS: usize = 468;

/// The outline of the face from the top of the forehead, clockwise as the head sees
/// it (first to its left side), 36 points.
pub(crate) const OVAL: [usize; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];

/// Upper lip, from the outer contour to the inner edge; columns run from the head's
/// right corner to its left corner.
pub(crate) const UPPER_LIP: [[usize; 11]; 4] = [
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
    [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306],
    [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
];

/// Lower lip, rows and columns as [`UPPER_LIP`]; the corners are shared with it.
pub(crate) const LOWER_LIP: [[usize; 11]; 4] = [
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
    [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306],
    [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
];

/// The edges of the eyelids: `[right, left]`, each `[upper, lower]` from the outer to
/// the inner corner; the corners are shared.
pub(crate) const EYELIDS: [[[usize; 9]; 2]; 2] = [
    [
        [33, 246, 161, 160, 159, 158, 157, 173, 133],
        [33, 7, 163, 144, 145, 153, 154, 155, 133],
    ],
    [
        [263, 466, 388, 387, 386, 385, 384, 398, 362],
        [263, 249, 390, 373, 374, 380, 381, 382, 362],
    ],
];

/// Rows of points that mark the eyebrows, `[right, left]`, outer to inner, along the
/// upper edge.
pub(crate) const BROWS: [[usize; 5]; 2] = [[70, 63, 105, 66, 107], [300, 293, 334, 296, 336]];

/// The points of the face.
pub(crate) fn points() -> Vec<Vec3> {
    table::POINTS
        .iter()
        .map(|&[x, y, z]| Vec3::new(x, y, z))
        .collect()
}

/// The triangles of the face, counter-clockwise seen from outside. The mouth and the
/// eyes are covered; callers leave those triangles out by [`OVAL`]-like loops.
pub(crate) fn triangles() -> Vec<[u32; 3]> {
    table::TRIANGLES.iter().map(|t| t.map(u32::from)).collect()
}
