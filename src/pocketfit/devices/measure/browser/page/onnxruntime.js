// ONNX Runtime's build for browsers, on the CPU.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

export async function open(model, job) {
  const ort = await import("./web/onnxruntime-web/dist/ort.wasm.min.mjs");
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = job.threads;
  ort.env.wasm.wasmPaths = new URL("./web/onnxruntime-web/dist/", location.href).href;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });

  return {
    // Inputs are feeds that `run` takes as often as it likes.
    feed(values) {
      const tensors = values.map(
        (numbers, index) =>
          new ort.Tensor(job.inputs[index].dtype, new ARRAYS[job.inputs[index].dtype](numbers), job.inputs[index].shape),
      );
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
