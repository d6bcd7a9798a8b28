package pocketfit.engine

import java.io.Closeable
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The processor, as a delegate is named. */
const val CPU: String = "cpu"

/** An opened model. It belongs to one thread at a time. */
interface Engine : Closeable {
    /** What computes: "cpu", or the accelerator that was asked for. */
    val device: String

    /** One array per output of the model, restored to floats; [run] fills the same ones every time. */
    val outputs: List<FloatArray>

    /**
     * Runs the model.
     *
     * @param inputs one per input of the model: a direct buffer in the processor's order of bytes, with float32 numbers
     *     or those that the artifact takes. Handing over the same buffers every time saves work.
     */
    fun run(inputs: Array<ByteBuffer>)
}

/**
 * How an artifact is run.
 *
 * @param delegate the accelerator, by the name that Pocketfit has for it; null for the CPU.
 * @param threads of the CPU; 0 leaves the choice to [Threads].
 */
data class EngineOptions(
    val delegate: String? = null,
    val threads: Int = 0,
) {
    /** A count of 1 or more. */
    val threadCount: Int get() = if (threads > 0) threads else Threads.best()
}

/** Opens artifacts of one runtime. It throws where it cannot: for a delegate, the CPU is tried then. */
fun interface EngineFactory {
    fun open(
        artifact: Artifact,
        options: EngineOptions,
    ): Engine
}

internal fun directBuffer(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

/** To the beginning. Through [Buffer], because older releases of Android have no method of that name in subclasses. */
internal fun Buffer.toStart() {
    rewind()
}
