package pocketfit.engine

import java.io.File
import java.nio.ByteBuffer
import pocketfit.Bundle
import pocketfit.Json

/** A tensor as a runtime sees it; dtypes are spelt as numpy spells them. */
class Tensor internal constructor(
    json: Json,
) {
    val name: String = json.at("name").string()
    val shape: IntArray = IntArray(json.at("shape").items().size) { json.at("shape").items()[it].small() }
    val dtype: String = json.at("dtype").string()

    /** How many numbers there are. */
    val size: Int = shape.fold(1, Int::times)
}

/** One entry of a bundle's manifest; docs/bundle.md describes it. */
class Artifact internal constructor(
    json: Json,
    val files: List<File>,
) {
    val runtime: String = json.at("runtime").string()
    val precision: String = json.at("precision").string()
    val chosen: Boolean = json.at("chosen").bool()
    val inputs: List<Tensor> = tensors(json, "input")
    val outputs: List<Tensor> = tensors(json, "output")

    /** Name of the golden set that it must reproduce, and how closely. */
    val golden: String = json.at("golden").string()
    val tolerance: Double = json.at("tolerance").number()

    /** The accelerator that it was made for. */
    val delegate: String = option(json, "delegate") ?: CPU

    /** Inputs that are nothing but zeros. */
    internal fun zeros(): Array<ByteBuffer> =
        Array(inputs.size) {
            directBuffer(if (inputs[it].dtype == "float32") Float.SIZE_BYTES * inputs[it].size else inputs[it].size)
        }

    override fun toString(): String = "$runtime $precision"
}

/** All artifacts of a bundle, those to ship first. */
fun Bundle.artifacts(): List<Artifact> =
    manifest()
        .at("artifacts")
        .items()
        .map { Artifact(it, files(it.at("runtime").string(), it.at("precision").string())) }
        .sortedByDescending { it.chosen }

private fun tensors(
    json: Json,
    name: String,
): List<Tensor> {
    val more = if (json.has("more_${name}s")) json.at("more_${name}s").items() else emptyList()
    return (listOf(json.at(name)) + more).map(::Tensor)
}

private fun option(
    json: Json,
    name: String,
): String? {
    val options = if (json.has("options")) json.at("options") else return null
    return if (options.has(name)) options.at(name).string() else null
}
