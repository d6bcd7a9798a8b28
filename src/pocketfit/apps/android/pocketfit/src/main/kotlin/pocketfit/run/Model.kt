package pocketfit.run

import java.io.Closeable
import java.nio.ByteBuffer
import pocketfit.Contract
import pocketfit.Image
import pocketfit.Postprocessor
import pocketfit.Preprocessor
import pocketfit.engine.Artifact
import pocketfit.engine.Opened

/**
 * An opened artifact with what its contract does before and behind it. It belongs to one thread at a time.
 *
 * Once images of one size have come, nothing is allocated here; what a runtime allocates is its own.
 */
class Model(
    val artifact: Artifact,
    private val opened: Opened,
) : Closeable {
    val contract: Contract = artifact.bundle.contract()

    /** Classes or boxes of the last image, the best first; empty where the contract says nothing of outputs. */
    val answers: Postprocessor = Postprocessor(contract)

    /** Of the last image, where the contract says that the output is one; the same array every time. */
    var embedding: FloatArray? = null
        private set

    /** What the model itself gave for the last image, one array per output. */
    val outputs: List<FloatArray> get() = opened.engine.outputs

    /** What computes, and why it is not the accelerator that was asked for. */
    val device: String get() = opened.engine.device
    val fallback: String? get() = opened.fallback

    private val ofPixels by lazy { Preprocessor(contractFor(Contract.Format.RGB)) }
    private val ofPlanes by lazy { Preprocessor(contractFor(Contract.Format.NV21)) }
    private val inputs: Array<ByteBuffer> = arrayOf(ByteBuffer.allocate(0))

    /**
     * Runs an image through.
     *
     * @param image decoded pixels or the planes of a camera, whichever the contract was written for.
     * @param orientation that comes with the image, 1 to 8 as EXIF counts.
     */
    fun run(
        image: Image,
        orientation: Int,
    ) {
        val preprocessor = if (image.u == null) ofPixels else ofPlanes
        inputs[0] = preprocessor.run(image, orientation)
        opened.engine.run(inputs)
        read(preprocessor)
    }

    override fun close() {
        opened.engine.close()
    }

    private fun read(preprocessor: Preprocessor) {
        when (contract.output) {
            Contract.Output.CLASSES -> {
                answers.classes(outputs[0])
            }

            Contract.Output.BOXES -> {
                val classes = outputs[1].size / (outputs[0].size / SIDES)
                answers.boxes(outputs[0], outputs[1], classes, preprocessor.placement())
            }

            Contract.Output.EMBEDDING -> {
                embedding = answers.embedding(outputs[0])
            }

            else -> {}
        }
    }

    /** The contract for its own kind of image; else with pixels, or with planes as Android's camera gives them. */
    private fun contractFor(format: Contract.Format): Contract {
        val own = artifact.bundle.contract()
        if (own.isYuv != (format == Contract.Format.NV21)) {
            own.input = format
            own.matrix = Contract.Matrix.BT601
            own.range = Contract.Range.FULL
        } else if (own.input == Contract.Format.GRAY) {
            own.input = Contract.Format.RGB
        }
        return own
    }

    private companion object {
        const val SIDES = 4
    }
}
