use super::*;
use crate::ops::testing::{assert_close, check, noise};

fn check3(x: &[usize], weight: &[usize], geometry: Geometry) {
    let args = [noise(1, x), noise(2, weight), noise(3, &weight[..1])];
    check(
        &format!("conv {x:?} {weight:?} {geometry:?}"),
        &args,
        &|t| convolve(&t[0], &t[1], Some(&t[2]), geometry),
        &|t| slow::convolve(&t[0], &t[1], Some(&t[2]), geometry),
    );
}

const PLAIN: Geometry = Geometry {
    stride: [1; 3],
    dilation: [1; 3],
    groups: 1,
    padding: [(0, 0); 3],
    replicate: false,
};

#[test]
fn agrees_with_the_slow_form() {
    let causal = Geometry {
        padding: [(2, 0), (1, 1), (1, 1)],
        replicate: true,
        ..PLAIN
    };
    let symmetric = Geometry {
        padding: [(1, 1), (1, 1), (1, 1)],
        replicate: true,
        ..PLAIN
    };
    check3(&[1, 3, 4, 5, 6], &[5, 3, 3, 3, 3], causal);
    check3(&[2, 4, 1, 7, 8], &[3, 4, 3, 3, 3], causal);
    check3(&[1, 5, 3, 6, 33], &[20, 5, 3, 3, 3], symmetric);
    check3(&[1, 2, 1, 3, 3], &[2, 2, 3, 3, 3], symmetric);
    check3(&[1, 6, 2, 3, 4], &[7, 6, 1, 1, 1], PLAIN);
    check3(
        &[1, 3, 5, 6, 7],
        &[4, 3, 2, 3, 2],
        Geometry {
            padding: [(1, 0), (0, 2), (3, 1)],
            ..PLAIN
        },
    );
    check3(
        &[2, 3, 5, 9, 9],
        &[4, 3, 3, 3, 3],
        Geometry {
            padding: [(1, 1), (1, 1), (1, 1)],
            ..PLAIN
        },
    );
}

/// Rows that kernels read where they lie: whole vectors, with half a panel at the end,
/// an odd number of channels, groups, and steps between rows and frames.
#[test]
fn wide_rows_agree_with_the_slow_form() {
    let symmetric = Geometry {
        padding: [(1, 1), (1, 1), (1, 1)],
        replicate: true,
        ..PLAIN
    };
    check3(&[2, 6, 3, 3, 16], &[17, 6, 3, 3, 3], symmetric);
    check3(&[1, 40, 1, 2, 32], &[3, 40, 3, 3, 3], symmetric);
    check3(&[1, 5, 2, 3, 48], &[4, 5, 3, 3, 3], symmetric);
    check3(&[1, 6, 2, 4, 12], &[5, 6, 1, 1, 1], PLAIN);
    check3(
        &[1, 8, 5, 7, 19],
        &[6, 4, 2, 3, 4],
        Geometry {
            groups: 2,
            stride: [2, 2, 1],
            padding: [(1, 0), (1, 1), (0, 0)],
            ..PLAIN
        },
    );
}

#[test]
fn groups_and_dilation() {
    check3(
        &[1, 6, 2, 6, 7],
        &[4, 3, 1, 3, 3],
        Geometry {
            groups: 2,
            padding: [(0, 0), (1, 1), (1, 1)],
            ..PLAIN
        },
    );
    check3(
        &[2, 4, 1, 5, 18],
        &[8, 1, 1, 3, 3],
        Geometry {
            groups: 4,
            padding: [(0, 0), (1, 1), (1, 1)],
            ..PLAIN
        },
    );
    check3(
        &[1, 3, 1, 9, 9],
        &[2, 3, 1, 3, 3],
        Geometry {
            dilation: [1, 2, 2],
            padding: [(0, 0), (2, 2), (2, 2)],
            ..PLAIN
        },
    );
}

#[test]
fn strides() {
    let geometry = Geometry {
        stride: [2, 2, 2],
        padding: [(1, 1), (0, 1), (0, 1)],
        ..PLAIN
    };
    check3(&[1, 3, 5, 8, 9], &[4, 3, 3, 3, 3], geometry);
    check3(
        &[1, 4, 1, 8, 8],
        &[4, 1, 1, 3, 3],
        Geometry {
            groups: 4,
            stride: [1, 2, 2],
            padding: [(0, 0), (0, 1), (0, 1)],
            ..PLAIN
        },
    );
    check3(
        &[1, 2, 1, 8, 8],
        &[3, 2, 1, 5, 5],
        Geometry {
            stride: [1, 3, 2],
            padding: [(0, 0), (2, 2), (1, 2)],
            ..PLAIN
        },
    );
}

#[test]
fn the_flatter_forms_are_the_same_operation() {
    let (x, w) = (noise(1, &[2, 3, 17]), noise(2, &[4, 3, 4]));
    let options = Conv1dOptions {
        dilation: 2,
        ..Conv1dOptions::new(2, 3)
    };
    let got = conv1d(&x, &w, None, &options).unwrap();
    assert_close("conv1d", &got, &x.conv1d(&w, 3, 2, 2, 1).unwrap(), 1e-5);
    let (x, w) = (noise(1, &[2, 4, 9, 8]), noise(2, &[6, 2, 3, 3]));
    let options = Conv2dOptions {
        groups: 2,
        ..Conv2dOptions::new(2, 1)
    };
    let got = conv2d(&x, &w, None, &options).unwrap();
    assert_close("conv2d", &got, &x.conv2d(&w, 1, 2, 1, 2).unwrap(), 1e-5);
    let (x, w) = (noise(1, &[1, 2, 4, 5, 5]), noise(2, &[3, 2, 3, 3, 3]));
    let causal = conv3d(&x, &w, None, &Conv3dOptions::causal()).unwrap();
    assert_eq!(causal.dims(), [1, 3, 4, 5, 5]);
    // The first frame of a causal convolution sees only itself.
    let alone = conv3d(
        &x.narrow(2, 0, 1).unwrap(),
        &w,
        None,
        &Conv3dOptions::causal(),
    )
    .unwrap();
    assert_close("causal", &alone, &causal.narrow(2, 0, 1).unwrap(), 1e-5);
}

#[test]
fn misfits_are_refused() {
    let x = noise(1, &[1, 3, 2, 2]);
    assert!(
        conv2d(
            &x,
            &noise(2, &[4, 2, 1, 1]),
            None,
            &Conv2dOptions::new(1, 0)
        )
        .is_err()
    );
    let error = conv2d(
        &x,
        &noise(2, &[4, 3, 5, 1]),
        None,
        &Conv2dOptions::new(1, 1),
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("does not fit"), "{error}");
    assert!(
        conv2d(
            &x,
            &noise(2, &[4, 3, 1, 1]),
            Some(&noise(3, &[3])),
            &Conv2dOptions::new(1, 0)
        )
        .is_err()
    );
}
