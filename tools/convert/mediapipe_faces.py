#!/usr/bin/env python3
"""Turns MediaPipe's face detector and face landmark networks into safetensors for `crates/face`.

    pip install mediapipe==0.10.21 tflite ai-edge-litert safetensors numpy
    npm pack @mediapipe/face_detection@0.4.1657300184 && tar xzf mediapipe-face_detection-*.tgz
    python tools/convert/mediapipe_faces.py --detector package/face_detection_full_range.tflite

Written (relative to the repository):

    crates/face/weights/face_detector.safetensors     f16, names as in crates/face/src/net/detector.rs
    crates/face/weights/face_landmarks.safetensors    f16, names as in crates/face/src/net/landmarks.rs
    crates/face/tests/fixtures/networks.safetensors   inputs and the TFLite interpreter's outputs, f32

Both networks are chains of one block each, so the script does not carry the graph over: it walks the
operators in their order, checks that they are the expected ones, and gives every weight the name that
the layer has in the Rust code. Layouts are changed once, here, to channels-last with the output channel
innermost: convolution [kh, kw, in, out], pointwise [in, out], depthwise [kh, kw, channels].

The weights are f16 in the originals too (behind DEQUANTIZE operators), so nothing is rounded here.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import tflite
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
OPERATOR = {v: k for k, v in vars(tflite.BuiltinOperator).items() if not k.startswith("_")}

# Output size of each detector block over its input (2: halves) and of each landmark block.
DETECTOR_STRIDES = [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1]
LANDMARK_TRUNK_STRIDES = [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]
MESH_STRIDES = [2, 1, 1]
PRESENCE_STRIDES = [2]


class Graph:
    """The operators that compute something, in order, with their constant inputs."""

    def __init__(self, path):
        self.data = Path(path).read_bytes()
        self.model = tflite.Model.GetRootAs(self.data, 0)
        self.graph = self.model.Subgraphs(0)
        self.constants = {}
        self.operators = []
        for i in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = OPERATOR[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs, outputs = operator.InputsAsNumpy(), operator.OutputsAsNumpy()
            if name == "DEQUANTIZE":
                self.constants[outputs[0]] = self.buffer(inputs[0])
            else:
                self.operators.append((name, list(inputs), outputs[0], operator))

    def buffer(self, index):
        tensor = self.graph.Tensors(index)
        kinds = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32}
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        return raw.view(kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    def layers(self):
        """(kind, weights, stride, inputs, output) of every operator that has parameters."""
        for name, inputs, output, operator in self.operators:
            weights = [self.constants[i] for i in inputs if i in self.constants]
            stride = 1
            if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                options = tflite.Conv2DOptions() if name == "CONV_2D" else tflite.DepthwiseConv2DOptions()
                table = operator.BuiltinOptions()
                options.Init(table.Bytes, table.Pos)
                stride = options.StrideH()
                assert options.StrideW() == stride and options.FusedActivationFunction() == 0
            if weights:
                yield name, weights, stride, inputs, output


def convolution(weight):
    """[out, kh, kw, in] -> [kh, kw, in, out], or [in, out] for one tap."""
    weight = weight.transpose(1, 2, 3, 0)
    return weight[0, 0] if weight.shape[:2] == (1, 1) else weight


class Chain:
    """Takes layers off the front of a list, checking kind and stride, and names them."""

    def __init__(self, layers):
        self.layers = list(layers)
        self.tensors = {}

    def put(self, name, array):
        assert name not in self.tensors
        self.tensors[name] = np.ascontiguousarray(array.astype(np.float16))

    def take(self, kind, stride=1):
        found, weights, found_stride, *_ = self.layers.pop(0)
        assert (found, found_stride) == (kind, stride), (found, found_stride, kind, stride)
        return weights

    def conv(self, name, stride=1):
        weight, bias = self.take("CONV_2D", stride)
        self.put(f"{name}.weight", convolution(weight))
        self.put(f"{name}.bias", bias)

    def depthwise(self, name, stride=1):
        weight, bias = self.take("DEPTHWISE_CONV_2D", stride)
        self.put(f"{name}.weight", weight[0])
        self.put(f"{name}.bias", bias)


def detector(graph):
    """Blocks of two separable convolutions, then a feature pyramid from 6x6 up to 48x48."""
    chain = Chain(graph.layers())

    def block(name, stride=1):
        chain.depthwise(f"{name}.depthwise.0", stride)
        chain.conv(f"{name}.pointwise.0")
        chain.depthwise(f"{name}.depthwise.1")
        chain.conv(f"{name}.pointwise.1")

    chain.conv("stem", stride=2)
    for i, stride in enumerate(DETECTOR_STRIDES):
        block(f"blocks.{i}", stride)
    for level, blocks in enumerate([2, 2, 1]):
        chain.conv(f"pyramid.{level}.from_above")
        chain.conv(f"pyramid.{level}.lateral")
        for i in range(blocks):
            block(f"pyramid.{level}.blocks.{i}")
    chain.conv("score")
    chain.conv("box")
    assert not chain.layers, chain.layers
    return chain.tensors


def landmarks(graph):
    """A trunk of single separable convolutions with PReLU, and two heads: mesh and presence.

    The two heads' operators are interleaved in the file, so they are followed by their data.
    """
    inputs_of = {output: inputs for _, inputs, output, _ in graph.operators}
    layer_at = {layer[4]: layer for layer in graph.layers()}
    mesh_out, presence_out = graph.graph.OutputsAsNumpy()

    def needed_for(output):
        """Every tensor that `output` is computed from, and itself."""
        found, queue = set(), [output]
        while queue:
            tensor = queue.pop()
            if tensor in inputs_of and tensor not in found:
                found.add(tensor)
                queue += [i for i in inputs_of[tensor] if i not in graph.constants]
        return found

    mesh, presence = needed_for(mesh_out), needed_for(presence_out)
    layers = lambda wanted: [layer for tensor, layer in layer_at.items() if tensor in wanted]
    tensors = {}

    def take(part, build):
        chain = Chain(part)
        chain.tensors = tensors

        def prelu(name):
            (alpha,) = chain.take("PRELU")
            chain.put(f"{name}.slope", alpha.reshape(-1))

        def block(name, stride):
            chain.depthwise(f"{name}.depthwise", stride)
            chain.conv(f"{name}.pointwise")
            prelu(name)

        build(chain, prelu, block)
        assert not chain.layers, chain.layers

    def trunk(chain, prelu, block):
        chain.conv("stem", stride=2)
        prelu("stem")
        for i, stride in enumerate(LANDMARK_TRUNK_STRIDES):
            block(f"trunk.{i}", stride)

    def head(prefix, strides):
        def build(chain, prelu, block):
            for i, stride in enumerate(strides):
                block(f"{prefix}.{i}", stride)
            chain.conv(f"{prefix}.narrow")
            prelu(f"{prefix}.narrow")
            block(f"{prefix}.last", 1)
            chain.conv(f"{prefix}.out", stride=3)
        return build

    take(layers(mesh & presence), trunk)
    take(layers(mesh - presence), head("mesh", MESH_STRIDES))
    take(layers(presence - mesh), head("presence", PRESENCE_STRIDES))
    return tensors


def picture(size, seed):
    """A smooth random picture in 0..1, [1, size, size, 3]: noise of a few scales, no one's face."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size, size, 3))
    for cells in (4, 12, 48, size):
        grid = rng.random((cells, cells, 3))
        out += np.kron(grid, np.ones((size // cells, size // cells, 1)))
    return (out / out.max()).astype(np.float32)[None]


def drawn_face(size):
    """A drawn face, so that scores and points are away from their resting values."""
    y, x = np.mgrid[0:size, 0:size] / size
    out = np.full((size, size, 3), 0.35)

    def ellipse(cx, cy, rx, ry, colour):
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        out[inside] = colour

    ellipse(0.50, 0.36, 0.30, 0.32, (0.20, 0.12, 0.08))
    ellipse(0.50, 0.52, 0.25, 0.34, (0.85, 0.66, 0.55))
    for side in (-1, 1):
        ellipse(0.5 + side * 0.105, 0.46, 0.055, 0.026, (0.95, 0.95, 0.95))
        ellipse(0.5 + side * 0.105, 0.46, 0.022, 0.024, (0.15, 0.10, 0.08))
        ellipse(0.5 + side * 0.105, 0.40, 0.075, 0.014, (0.22, 0.13, 0.08))
    ellipse(0.50, 0.565, 0.040, 0.060, (0.76, 0.56, 0.46))
    ellipse(0.50, 0.585, 0.030, 0.014, (0.50, 0.30, 0.25))
    ellipse(0.50, 0.70, 0.095, 0.034, (0.72, 0.30, 0.30))
    ellipse(0.50, 0.70, 0.070, 0.012, (0.30, 0.08, 0.08))
    return out.astype(np.float32)[None]


def run(path, inputs):
    """Outputs of the TFLite interpreter, one list an input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    results = []
    for value in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
        interpreter.invoke()
        results.append([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
    return results


def main():
    import mediapipe

    modules = Path(mediapipe.__file__).parent / "modules"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", required=True, help="face_detection_full_range.tflite (the dense one)")
    parser.add_argument("--landmarks", default=modules / "face_landmark" / "face_landmark.tflite")
    args = parser.parse_args()

    for kind, path, convert in (("face_detector", args.detector, detector), ("face_landmarks", args.landmarks, landmarks)):
        graph = Graph(path)
        tensors = convert(graph)
        expected = sum(array.size for array in graph.constants.values())
        assert sum(array.size for array in tensors.values()) == expected, "a weight was left behind"
        metadata = {
            "source": json.dumps({"file": Path(path).name, "sha256": hashlib.sha256(graph.data).hexdigest()}),
            "license": "Apache-2.0, Google LLC (MediaPipe)",
        }
        out = ROOT / "crates/face/weights" / f"{kind}.safetensors"
        save_file(tensors, out, metadata)
        print(f"{out.relative_to(ROOT)}: {len(tensors)} tensors, {expected} weights, {out.stat().st_size} bytes")

    # 8-bit inputs keep the fixture small; the test scales them exactly as here.
    inputs = [np.round(v * 255).astype(np.uint8) for v in (drawn_face(192), picture(192, 1))]
    fixture = {f"input.{i}": v[0] for i, v in enumerate(inputs)}
    for i, (box, score) in enumerate(run(args.detector, [v.astype(np.float32) / 127.5 - 1 for v in inputs])):
        if box.shape[-1] == 1:
            box, score = score, box
        # All scores, and every 16th anchor's box: enough to catch any wrong layer.
        fixture[f"detector.{i}.score"] = score[0, :, 0]
        fixture[f"detector.{i}.box"] = np.ascontiguousarray(box[0, ::16])
    for i, outputs in enumerate(run(args.landmarks, [v.astype(np.float32) / 255 for v in inputs])):
        mesh, presence = sorted(outputs, key=lambda a: -a.size)
        fixture[f"landmarks.{i}.points"] = mesh.reshape(468, 3)
        fixture[f"landmarks.{i}.presence"] = presence.reshape(1)
    out = ROOT / "crates/face/tests/fixtures/networks.safetensors"
    save_file(fixture, out)
    print(f"{out.relative_to(ROOT)}: {out.stat().st_size} bytes")
    for i in range(len(inputs)):
        score = fixture[f"detector.{i}.score"]
        print(f"  input {i}: best score {score.max():.3f}, presence {fixture[f'landmarks.{i}.presence'][0]:.3f}")


if __name__ == "__main__":
    main()
