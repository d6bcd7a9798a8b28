// ONNX Runtime's build for browsers, on the CPU.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

export async function open(model, threads) {
  const ort = await import("./web/onnxruntime-web/dist/ort.wasm.min.mjs");
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL("./web/onnxruntime-web/dist/", location.href).href;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });

  return {
    // Inputs are feeds that `run` takes as often as it likes.
    feed(values, inputs) {
      const tensors = inputs.map(({ dtype, shape }, index) => new ort.Tensor(dtype, new ARRAYS[dtype](values[index]), shape));
      return Object.fromEntries(session.inputNames.map((name, index) => [name, tensors[index]]));
    },
    async run(feed) {
      await session.run(feed);
    },
    async answer(feed) {
      const outputs = await session.run(feed);
      return session.outputNames.map((name) => Float32Array.from(outputs[name].data));
    },
  };
}
