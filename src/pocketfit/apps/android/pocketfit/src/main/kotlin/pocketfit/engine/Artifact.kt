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

/**
 * One entry of a bundle's manifest; docs/bundle.md describes it.
 *
 * @param bundle that has it: one of several variants, each of which has a contract of its own.
 */
class Artifact internal constructor(
    json: Json,
    val bundle: Bundle,
) {
    val runtime: String = json.at("runtime").string()
    val precision: String = json.at("precision").string()
    val chosen: Boolean = json.at("chosen").bool()

    /** What runtimes open by name, the main file first. */
    val files: List<File> = bundle.files(runtime, precision)

    /** Whether the files are to be opened by [contents] alone. */
    val isEncrypted: Boolean = bundle.isEncrypted
    val inputs: List<Tensor> = tensors(json, "input")
    val outputs: List<Tensor> = tensors(json, "output")

    /** Name of the golden set that it must reproduce, and how closely. */
    val golden: String = json.at("golden").string()
    val tolerance: Double = json.at("tolerance").number()

    /** The accelerator that it was made for. */
    val delegate: String = option(json, "delegate") ?: CPU

    /**
     * What the files hold, checked once more and decrypted in memory; no file has it.
     *
     * @throws PocketfitException they are encrypted, and the bundle was opened without their key or with another one.
     */
    fun contents(): List<ByteArray> = bundle.load(runtime, precision).values.toList()

    /** Inputs that are nothing but zeros. */
    internal fun zeros(): Array<ByteBuffer> =
        Array(inputs.size) {
            directBuffer(if (inputs[it].dtype == "float32") Float.SIZE_BYTES * inputs[it].size else inputs[it].size)
        }

    override fun toString(): String =
        listOf(bundle.name(), runtime, precision).filter { it.isNotEmpty() }.joinToString(" ")
}

/** All artifacts of a bundle, those to ship first; those of its variants lie in bundles of their own. */
fun Bundle.artifacts(): List<Artifact> =
    manifest()
        .at("artifacts")
        .items()
        .map { Artifact(it, this) }
        .sortedByDescending { it.chosen }

/** The bundle itself, and its other variants. */
internal fun Bundle.variants(): List<Bundle> = listOf(this) + others().values

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
