package pocketfit.engine

import android.os.Build
import java.nio.ByteBuffer
import java.nio.FloatBuffer
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.nnapi.NnApiDelegate
import pocketfit.Bundle
import pocketfit.Contract
import pocketfit.PocketfitException
import pocketfit.Quantization

/**
 * LiteRT by its Interpreter, whose buffers are the app's own; CompiledModel takes and gives arrays.
 *
 * Delegates: "gpu"; "nnapi", which Android 15 has deprecated; "xnnpack" is how the CPU computes anyway.
 */
internal class LiteRtEngine(
    artifact: Artifact,
    options: EngineOptions,
) : Engine {
    override val device: String = options.delegate ?: CPU

    private val delegate = delegate(device)
    private val interpreter: Interpreter =
        try {
            Interpreter(model(artifact), interpreterOptions(options))
        } catch (error: Exception) {
            delegate?.close()
            throw error
        }
    private val ins = List(interpreter.inputTensorCount) { LiteRtInput(interpreter.getInputTensor(it)) }
    private val outs = List(interpreter.outputTensorCount) { LiteRtOutput(interpreter.getOutputTensor(it)) }
    private val given = arrayOfNulls<Any>(ins.size)
    private val wanted: Map<Int, Any> = outs.indices.associateWith { outs[it].buffer }

    override val outputs: List<FloatArray> = outs.map { it.values }

    override fun run(inputs: Array<ByteBuffer>) {
        for (i in ins.indices) {
            given[i] = ins[i].accept(inputs[i])
        }
        for (i in outs.indices) {
            outs[i].buffer.toStart()
        }
        interpreter.runForMultipleInputsOutputs(given, wanted)
        for (i in outs.indices) {
            outs[i].restore()
        }
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    private fun interpreterOptions(options: EngineOptions): Interpreter.Options {
        val told = Interpreter.Options().setNumThreads(options.threadCount)
        return if (delegate == null) told else told.addDelegate(delegate)
    }

    private fun delegate(name: String): Delegate? =
        when (name) {
            CPU, "xnnpack" -> null
            "gpu" -> GpuDelegate()
            "nnapi" -> if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) NnApiDelegate() else refuse(name)
            else -> refuse(name)
        }

    private fun refuse(name: String): Nothing =
        throw PocketfitException("LiteRT has no delegate $name here; there is gpu, nnapi from Android 8.1, xnnpack")
}

/** Mapped where it lies open, so that nothing is copied. */
private fun model(artifact: Artifact): ByteBuffer {
    if (!artifact.isEncrypted) {
        return Bundle.map(artifact.files[0])
    }
    val content = artifact.contents()[0]
    val buffer = directBuffer(content.size).put(content)
    buffer.toStart()
    return buffer
}

/** An input; floats are quantized where the model takes integers. */
private class LiteRtInput(
    tensor: org.tensorflow.lite.Tensor,
) {
    private val name = tensor.name()
    private val bytes = tensor.numBytes()
    private val dtype = if (tensor.dataType() == DataType.INT8) Contract.Dtype.INT8 else Contract.Dtype.UINT8
    private val quantization = quantization(tensor)
    private val own = directBuffer(bytes)
    private var seen: ByteBuffer? = null
    private var floats: FloatBuffer? = null

    fun accept(buffer: ByteBuffer): ByteBuffer {
        if (buffer.capacity() == bytes) {
            return buffer
        }
        if (quantization == null || buffer.capacity() != Float.SIZE_BYTES * bytes) {
            throw PocketfitException("the model's $name takes $bytes bytes, not ${buffer.capacity()}")
        }
        val values = floats(buffer)
        for (i in 0 until bytes) {
            own.put(i, quantization.quantize(values.get(i), dtype).toByte())
        }
        return own
    }

    private fun floats(buffer: ByteBuffer): FloatBuffer {
        val known = floats
        if (known != null && seen === buffer) {
            return known
        }
        seen = buffer
        return buffer.asFloatBuffer().also { floats = it }
    }
}

/** An output, with its integers restored to floats. */
private class LiteRtOutput(
    tensor: org.tensorflow.lite.Tensor,
) {
    val buffer: ByteBuffer = directBuffer(tensor.numBytes())

    private val signed = tensor.dataType() == DataType.INT8
    private val quantization = quantization(tensor)
    private val floats = if (quantization == null) buffer.asFloatBuffer() else null

    val values: FloatArray = FloatArray(floats?.capacity() ?: buffer.capacity())

    fun restore() {
        if (floats != null) {
            floats.toStart()
            floats.get(values)
        } else if (quantization != null) {
            for (i in values.indices) {
                val one = buffer.get(i).toInt()
                values[i] = quantization.dequantize(if (signed) one else one and 0xFF)
            }
        }
    }
}

/** Null for floats. */
private fun quantization(tensor: org.tensorflow.lite.Tensor): Quantization? =
    when (tensor.dataType()) {
        DataType.FLOAT32 -> {
            null
        }

        DataType.INT8, DataType.UINT8 -> {
            Quantization(tensor.quantizationParams().scale.toDouble(), tensor.quantizationParams().zeroPoint)
        }

        else -> {
            throw PocketfitException("the model's ${tensor.name()} is ${tensor.dataType()}, which is not supported")
        }
    }
