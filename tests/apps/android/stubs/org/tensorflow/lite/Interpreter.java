package org.tensorflow.lite;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** The interpreter of ai-edge-litert in a Python process, for which litert_process.py speaks. */
public final class Interpreter implements AutoCloseable {
    public static class Options {
        int threads = 1;
        boolean delegated;

        public Options setNumThreads(int threads) {
            this.threads = threads;
            return this;
        }

        public Options addDelegate(Delegate delegate) {
            delegated = true;
            return this;
        }
    }

    private final boolean delegated;
    private final Process process;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final Tensor[] inputs;
    private final Tensor[] outputs;

    public Interpreter(ByteBuffer model, Options options) {
        delegated = options.delegated;
        try {
            Path file = Files.createTempFile("model", ".tflite");
            byte[] bytes = new byte[model.remaining()];
            model.duplicate().get(bytes);
            Files.write(file, bytes);
            process = new ProcessBuilder(System.getProperty("stub.python"), System.getProperty("stub.litert"),
                    file.toString(), String.valueOf(options.threads))
                              .redirectError(ProcessBuilder.Redirect.INHERIT)
                              .start();
            in = new DataInputStream(process.getInputStream());
            out = new DataOutputStream(new BufferedOutputStream(process.getOutputStream()));
            inputs = tensors();
            outputs = tensors();
            Files.delete(file);
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    public int getInputTensorCount() {
        return inputs.length;
    }

    public int getOutputTensorCount() {
        return outputs.length;
    }

    public Tensor getInputTensor(int index) {
        return inputs[index];
    }

    public Tensor getOutputTensor(int index) {
        return outputs[index];
    }

    public void runForMultipleInputsOutputs(Object[] given, Map<Integer, Object> wanted) {
        if (delegated) {
            throw new IllegalStateException("the driver fails");
        }
        try {
            for (Object one : given) {
                byte[] bytes = new byte[((ByteBuffer) one).capacity()];
                ((ByteBuffer) one).duplicate().get(bytes);
                out.write(bytes);
            }
            out.flush();
            for (int i = 0; i < outputs.length; i++) {
                byte[] bytes = new byte[outputs[i].numBytes()];
                in.readFully(bytes);
                ((ByteBuffer) wanted.get(i)).put(bytes);
            }
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void close() {
        process.destroy();
    }

    private Tensor[] tensors() throws IOException {
        Tensor[] found = new Tensor[in.readInt()];
        for (int i = 0; i < found.length; i++) {
            found[i] =
                    new Told(in.readUTF(), DataType.valueOf(in.readUTF()), in.readInt(), in.readFloat(), in.readInt());
        }
        return found;
    }

    private static final class Told implements Tensor {
        private final String name;
        private final DataType type;
        private final int bytes;
        private final QuantizationParams quantization;

        Told(String name, DataType type, int bytes, float scale, int zeroPoint) {
            this.name = name;
            this.type = type;
            this.bytes = bytes;
            quantization = new QuantizationParams(scale, zeroPoint);
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public DataType dataType() {
            return type;
        }

        @Override
        public int numBytes() {
            return bytes;
        }

        @Override
        public QuantizationParams quantizationParams() {
            return quantization;
        }
    }
}
