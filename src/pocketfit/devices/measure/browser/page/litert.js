// LiteRT's build for browsers, on the CPU.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

export async function open(model, job) {
  const litert = await import("./web/@litertjs/core/dist/index.js");
  const runtime = await litert.loadLiteRt("./web/@litertjs/core/wasm", { threads: job.threads > 1 });
  const compiled = await runtime.loadAndCompile(model, {
    accelerator: "wasm",
    cpuOptions: { numThreads: job.threads },
  });
  const release = (tensors) => tensors.forEach((tensor) => tensor.delete());

  return {
    feed(values) {
      return values.map(
        (numbers, index) =>
          new litert.Tensor(new ARRAYS[job.inputs[index].dtype](numbers), job.inputs[index].shape),
      );
    },
    async run(feed) {
      release(await compiled.run(feed));
    },
    async answer(feed) {
      const outputs = await compiled.run(feed);
      const values = outputs.map((tensor) => Float32Array.from(tensor.toTypedArray()));
      release([...feed, ...outputs]);
      return values;
    },
  };
}
