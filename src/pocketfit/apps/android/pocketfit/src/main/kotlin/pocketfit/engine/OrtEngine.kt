package pocketfit.engine

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import pocketfit.PocketfitException

/**
 * ONNX Runtime by its own Java API.
 *
 * Delegates: "nnapi", which Android 15 has deprecated; "xnnpack".
 */
internal class OrtEngine(
    artifact: Artifact,
    options: EngineOptions,
) : Engine {
    override val device: String = options.delegate ?: CPU

    private val environment = OrtEnvironment.getEnvironment()
    private val session = sessionOptions(options).use { open(artifact, it) }
    private val specs = artifact.inputs
    private val seen = arrayOfNulls<ByteBuffer>(specs.size)
    private val tensors = LinkedHashMap<String, OnnxTensor>()
    private val buffers = artifact.outputs.map { directBuffer(Float.SIZE_BYTES * it.size).asFloatBuffer() }
    private val pinned =
        artifact.outputs.withIndex().associate { (i, output) ->
            output.name to OnnxTensor.createTensor(environment, buffers[i], longs(output.shape))
        }

    override val outputs: List<FloatArray> = artifact.outputs.map { FloatArray(it.size) }

    override fun run(inputs: Array<ByteBuffer>) {
        for (i in specs.indices) {
            if (seen[i] !== inputs[i]) {
                wrap(i, inputs[i])
            }
        }
        session.run(tensors, pinned).close()
        for (i in buffers.indices) {
            buffers[i].toStart()
            buffers[i].get(outputs[i])
        }
    }

    override fun close() {
        tensors.values.forEach { it.close() }
        pinned.values.forEach { it.close() }
        session.close()
    }

    private fun open(
        artifact: Artifact,
        how: OrtSession.SessionOptions,
    ): OrtSession =
        if (artifact.isEncrypted) {
            environment.createSession(artifact.contents()[0], how)
        } else {
            environment.createSession(artifact.files[0].path, how)
        }

    /** ONNX Runtime reads the buffer itself, so a tensor is needed for every buffer, but not for every frame. */
    private fun wrap(
        index: Int,
        buffer: ByteBuffer,
    ) {
        val spec = specs[index]
        val shape = longs(spec.shape)
        val tensor =
            when (spec.dtype) {
                "float32" -> OnnxTensor.createTensor(environment, buffer.asFloatBuffer(), shape)
                "uint8" -> OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.UINT8)
                "int8" -> OnnxTensor.createTensor(environment, buffer, shape, OnnxJavaType.INT8)
                else -> throw PocketfitException("the model's ${spec.name} is ${spec.dtype}, which is not supported")
            }
        tensors.put(spec.name, tensor)?.close()
        seen[index] = buffer
    }

    private fun sessionOptions(options: EngineOptions): OrtSession.SessionOptions {
        val told = OrtSession.SessionOptions()
        told.setInterOpNumThreads(1)
        told.setIntraOpNumThreads(options.threadCount)
        when (device) {
            CPU -> {}

            "nnapi" -> {
                told.addNnapi()
            }

            "xnnpack" -> {
                // It has threads of its own: with as many here, they would fight over the cores.
                told.addXnnpack(mapOf("intra_op_num_threads" to options.threadCount.toString()))
                told.setIntraOpNumThreads(1)
            }

            else -> {
                throw PocketfitException("ONNX Runtime has no delegate $device here; there is nnapi, xnnpack")
            }
        }
        return told
    }

    private fun longs(shape: IntArray) = LongArray(shape.size) { shape[it].toLong() }
}
