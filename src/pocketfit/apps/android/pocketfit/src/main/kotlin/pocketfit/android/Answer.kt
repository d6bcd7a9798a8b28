package pocketfit.android

import pocketfit.run.Model

/** A part of an image, in pixels of the image as it stands upright. */
data class Box(
    val left: Double,
    val top: Double,
    val right: Double,
    val bottom: Double,
)

/** One class that was found, or one object. */
data class Answer(
    val index: Int,
    val label: String,
    val score: Double,
    val box: Box?,
)

/**
 * What the model says of an image; an app may keep it.
 *
 * @param answers classes or boxes, the best first.
 * @param embedding where the contract says that the output is one.
 * @param outputs the model's own numbers.
 */
class Answers internal constructor(
    val answers: List<Answer>,
    val embedding: FloatArray?,
    val outputs: List<FloatArray>,
) {
    internal companion object {
        const val SIDES = 4

        /** A copy of what the model keeps in its own buffers. */
        fun of(model: Model): Answers {
            val found = model.answers
            val list =
                List(found.count) { i ->
                    val index = found.index[i]
                    Answer(index, model.contract.label(index), found.score[i], box(model, SIDES * i))
                }
            return Answers(list, model.embedding?.copyOf(), model.outputs.map { it.copyOf() })
        }

        private fun box(
            model: Model,
            at: Int,
        ): Box? {
            val sides = model.answers.box
            val boxes = model.contract.output == pocketfit.Contract.Output.BOXES
            return if (boxes) Box(sides[at], sides[at + 1], sides[at + 2], sides[at + 3]) else null
        }
    }
}
