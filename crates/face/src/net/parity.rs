//! The two networks against the `TFLite` interpreter's outputs, saved by
//! `tools/convert/mediapipe_faces.py`: a drawn face and noise.

use super::{DetectorNet, LandmarkNet};
use safetensors::{Dtype, SafeTensors};

const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/networks.safetensors");
const INPUTS: usize = 2;

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32);
    let values = tensor.data().as_chunks::<4>().0;
    values.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn input(file: &SafeTensors, index: usize) -> Vec<f32> {
    let tensor = file.tensor(&format!("input.{index}")).unwrap();
    assert_eq!(tensor.shape(), [192, 192, 3]);
    tensor.data().iter().map(|&b| f32::from(b)).collect()
}

/// Largest difference over the largest value of the reference.
fn relative(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.1, "a reference of zeros proves nothing");
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

#[test]
fn verify_detector_parity() {
    let file = SafeTensors::deserialize(FIXTURE).unwrap();
    let net = DetectorNet::read(include_bytes!("../../weights/face_detector.safetensors")).unwrap();
    for i in 0..INPUTS {
        let picture: Vec<f32> = input(&file, i).iter().map(|v| v / 127.5 - 1.0).collect();
        let raw = net.run(&picture);
        let boxes: Vec<f32> = raw.boxes.iter().step_by(16).flatten().copied().collect();
        let scores = relative(&raw.scores, &floats(&file, &format!("detector.{i}.score")));
        let boxes = relative(&boxes, &floats(&file, &format!("detector.{i}.box")));
        println!("input {i}: scores {scores:.1e}, boxes {boxes:.1e}");
        assert!(scores < 1e-4 && boxes < 1e-4, "{scores} {boxes}");
    }
}

#[test]
fn verify_landmarks_parity() {
    let file = SafeTensors::deserialize(FIXTURE).unwrap();
    let net =
        LandmarkNet::read(include_bytes!("../../weights/face_landmarks.safetensors")).unwrap();
    for i in 0..INPUTS {
        let picture: Vec<f32> = input(&file, i).iter().map(|v| v / 255.0).collect();
        let raw = net.run(&picture);
        let points: Vec<f32> = raw.points.iter().flatten().copied().collect();
        let points = relative(&points, &floats(&file, &format!("landmarks.{i}.points")));
        let presence = floats(&file, &format!("landmarks.{i}.presence"));
        let presence = relative(&[raw.presence], &presence);
        println!("input {i}: points {points:.1e}, presence {presence:.1e}");
        assert!(points < 1e-4 && presence < 1e-4, "{points} {presence}");
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let wrong = include_bytes!("../../weights/face_landmarks.safetensors");
    let message = DetectorNet::read(wrong).err().unwrap().to_string();
    assert!(message.contains("the face detector"), "{message}");
    assert!(LandmarkNet::read(&wrong[..1000]).is_err());
}
