package pocketfit.run

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import pocketfit.Bundle
import pocketfit.Json
import pocketfit.PocketfitException
import pocketfit.engine.Artifact
import pocketfit.engine.Engine
import pocketfit.engine.EngineOptions
import pocketfit.engine.Engines
import pocketfit.engine.Tensor
import pocketfit.engine.artifacts
import pocketfit.engine.directBuffer
import pocketfit.engine.variants
import pocketfit.selftest.SelfTest

/**
 * Part of the self-test.
 *
 * @param name of what was tried.
 * @param passed how many of [total] came out as they must.
 * @param told what differs, or why it was not run; empty where all is well.
 */
data class Check(
    val name: String,
    val passed: Int,
    val total: Int,
    val told: String = "",
) {
    val good: Boolean get() = passed == total && total > 0
}

/** What Pocketfit wrote for this bundle, replayed here: its vectors, and every artifact on the golden inputs. */
class GoldenTest(
    private val bundle: Bundle,
    private val engines: Engines = Engines(),
) {
    fun run(options: EngineOptions = EngineOptions()): List<Check> =
        vectors() + bundle.variants().flatMap { GoldenRun(it, engines).run(options) }

    private fun vectors(): List<Check> =
        SelfTest.replay(bundle).map {
            Check(it.name, it.passed, it.total, if (it.passed == it.total) "" else "differs")
        }
}

/** The artifacts of one variant. */
private class GoldenRun(
    private val bundle: Bundle,
    private val engines: Engines,
) {
    private val golden = bundle.manifest().at("golden")
    private val inputs = array(golden.at("inputs"))

    fun run(options: EngineOptions): List<Check> = bundle.artifacts().map { replay(it, options) }

    private fun replay(
        artifact: Artifact,
        options: EngineOptions,
    ): Check {
        val samples = golden.at("samples").small()
        return try {
            val opened = engines.open(artifact, options)
            opened.engine.use { compare(artifact, it, samples, opened.fallback) }
        } catch (error: PocketfitException) {
            Check(artifact.toString(), 0, samples, "not run: ${error.message}")
        }
    }

    private fun compare(
        artifact: Artifact,
        engine: Engine,
        samples: Int,
        fallback: String?,
    ): Check {
        val expected = array(golden.at("expected").at(artifact.golden))
        val size = artifact.inputs.sumOf { it.size }
        var worst = 0.0
        var passed = 0
        for (sample in 0 until samples) {
            engine.run(feed(artifact.inputs, sample * size))
            val error = difference(engine.outputs, expected, sample * expected.capacity() / samples)
            passed += if (error <= artifact.tolerance) 1 else 0
            // A NaN is passed on.
            worst = maxOf(worst, error)
        }
        val differs = "differs by $worst, and ${artifact.tolerance} is allowed".takeIf { passed < samples }
        return Check(artifact.toString(), passed, samples, listOfNotNull(differs, fallback).joinToString("; "))
    }

    /** The inputs of a sample, which lie behind one another. */
    private fun feed(
        tensors: List<Tensor>,
        begin: Int,
    ): Array<ByteBuffer> {
        var at = begin
        return Array(tensors.size) { index ->
            val tensor = tensors[index]
            // Integers are pixels, stored as floats.
            val pixels = tensor.dtype == "uint8"
            val buffer = directBuffer(if (pixels) tensor.size else Float.SIZE_BYTES * tensor.size)
            for (i in 0 until tensor.size) {
                val value = inputs.get(at++)
                if (pixels) buffer.put(i, value.toInt().toByte()) else buffer.putFloat(Float.SIZE_BYTES * i, value)
            }
            buffer
        }
    }

    private fun difference(
        outputs: List<FloatArray>,
        expected: FloatBuffer,
        begin: Int,
    ): Double {
        var at = begin
        var most = 0.0
        for (output in outputs) {
            for (value in output) {
                most = maxOf(most, Math.abs(value.toDouble() - expected.get(at++)))
            }
        }
        return most
    }

    private fun array(told: Json): FloatBuffer {
        val bytes = bundle.content(told.at("file").string())
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    }
}
