// LiteRT's build for browsers, on the CPU.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };

export async function open(model, threads) {
  const litert = await import("./web/@litertjs/core/dist/index.js");
  const runtime = await litert.loadLiteRt("./web/@litertjs/core/wasm", { threads: threads > 1 });
  const compiled = await runtime.loadAndCompile(model, {
    accelerator: "wasm",
    cpuOptions: { numThreads: threads },
  });
  const release = (tensors) => tensors.forEach((tensor) => tensor.delete());

  return {
    // Inputs are feeds that `run` takes as often as it likes.
    feed(values, inputs) {
      return inputs.map(({ dtype, shape }, index) => new litert.Tensor(new ARRAYS[dtype](values[index]), shape));
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
