package pocketfit.engine

import pocketfit.PocketfitException

/**
 * An engine as it could be had.
 *
 * @param fallback why it is the CPU although an accelerator was asked for; null where it is as asked.
 */
class Opened(
    val engine: Engine,
    val fallback: String?,
)

/** The runtimes that an app has, by their names; tests hand over their own. */
class Engines(
    private val factories: Map<String, EngineFactory> = BUILT_IN,
) {
    /**
     * Opens an artifact, on the CPU where the accelerator fails: when it is opened, or at a first run on zeros, because
     * drivers fail there as well.
     */
    fun open(
        artifact: Artifact,
        options: EngineOptions,
    ): Opened {
        val factory =
            factories[artifact.runtime]
                ?: throw PocketfitException("no engine runs ${artifact.runtime}; there is ${factories.keys}")
        if ((options.delegate ?: CPU) == CPU) {
            return Opened(attempt(artifact) { factory.open(artifact, options) }, null)
        }
        return try {
            Opened(attempt(artifact) { tried(factory.open(artifact, options), artifact) }, null)
        } catch (error: PocketfitException) {
            val onCpu = options.copy(delegate = null)
            Opened(attempt(artifact) { factory.open(artifact, onCpu) }, "${options.delegate}: ${error.message}")
        }
    }

    private fun tried(
        engine: Engine,
        artifact: Artifact,
    ): Engine =
        try {
            engine.run(artifact.zeros())
            engine
        } catch (error: Exception) {
            engine.close()
            throw error
        }

    private fun attempt(
        artifact: Artifact,
        open: () -> Engine,
    ): Engine =
        try {
            open()
        } catch (error: LinkageError) {
            throw PocketfitException("the app was built without ${artifact.runtime}: $error")
        } catch (error: Exception) {
            throw PocketfitException("$artifact cannot be opened: ${error.message ?: error}")
        }

    companion object {
        /** Core ML and ExecuTorch have no engine here. */
        val BUILT_IN: Map<String, EngineFactory> =
            mapOf(
                "litert" to EngineFactory(::LiteRtEngine),
                "onnxruntime" to EngineFactory(::OrtEngine),
                "ncnn" to EngineFactory(::NativeEngine),
                "mnn" to EngineFactory(::NativeEngine),
            )
    }
}
