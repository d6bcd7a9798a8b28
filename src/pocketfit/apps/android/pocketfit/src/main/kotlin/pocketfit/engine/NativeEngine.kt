package pocketfit.engine

import java.nio.ByteBuffer

/**
 * ncnn and MNN, which have no Java API of their own for inference, by C++ in src/main/cpp.
 *
 * Delegates: "vulkan"; for MNN also "opencl" and "nnapi", each where the library was built with it.
 */
internal class NativeEngine(
    artifact: Artifact,
    options: EngineOptions,
) : Engine {
    override val device: String = options.delegate ?: CPU
    override val outputs: List<FloatArray> = artifact.outputs.map { FloatArray(it.size) }

    private val results = outputs.toTypedArray()
    private var net =
        NativeNet.open(
            artifact.runtime,
            artifact.files.map { it.path }.toTypedArray(),
            if (artifact.isEncrypted) artifact.contents().toTypedArray() else emptyArray(),
            artifact.inputs.map { it.name }.toTypedArray(),
            artifact.inputs.map { it.shape }.toTypedArray(),
            artifact.outputs.map { it.name }.toTypedArray(),
            options.threadCount,
            device,
        )

    override fun run(inputs: Array<ByteBuffer>) {
        check(net != 0L) { "the engine is closed" }
        NativeNet.run(net, inputs, results)
    }

    override fun close() {
        NativeNet.close(net)
        net = 0
    }
}

/** What jni.cpp defines; it throws PocketfitException. */
internal object NativeNet {
    init {
        System.loadLibrary("pocketfit_engines")
    }

    /** Where there are contents, the files are not read. */
    @JvmStatic
    @Suppress("LongParameterList")
    external fun open(
        runtime: String,
        files: Array<String>,
        contents: Array<ByteArray>,
        inputs: Array<String>,
        shapes: Array<IntArray>,
        outputs: Array<String>,
        threads: Int,
        delegate: String,
    ): Long

    /** Reads direct buffers of float32 and fills the arrays. */
    @JvmStatic
    external fun run(
        net: Long,
        inputs: Array<ByteBuffer>,
        outputs: Array<FloatArray>,
    )

    /** 0 is no net, and nothing is done. */
    @JvmStatic
    external fun close(net: Long)
}
