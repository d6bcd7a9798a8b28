package pocketfit.run

import pocketfit.PocketfitException
import pocketfit.engine.Artifact
import pocketfit.engine.CPU
import pocketfit.engine.EngineOptions
import pocketfit.engine.Engines

/** A phone at one time; null for what it does not tell. */
class Condition(
    val thermalStatus: Int? = null,
    val batteryPercent: Int? = null,
    val batteryCelsius: Double? = null,
    val charging: Boolean? = null,
)

/** Inferences on zeros: what a model takes does not depend on the image. Preprocessing is not part of it. */
class Timing(
    private val engines: Engines,
    private val where: String,
    private val condition: () -> Condition,
) {
    /**
     * Times artifacts one after another.
     *
     * @param artifacts of the bundle.
     * @param delegates null for the CPU; each is tried with every artifact.
     * @param threads counts; an accelerator is timed with the first alone.
     * @param runs inferences of a round.
     * @param seconds rounds go on for so long; 0 for one round.
     * @return JSON that `pocketfit measure --benchmark` reads.
     */
    fun run(
        artifacts: List<Artifact>,
        delegates: List<String?> = listOf(null),
        threads: List<Int> = listOf(1),
        runs: Int = 50,
        seconds: Double = 0.0,
    ): String {
        val measured = mutableListOf<String>()
        val failed = mutableListOf<String>()
        for (artifact in artifacts) {
            for (delegate in delegates) {
                for (count in if (delegate == null) threads else threads.take(1)) {
                    try {
                        measured += measure(artifact, EngineOptions(delegate, count), runs, seconds)
                    } catch (error: PocketfitException) {
                        failed += quoted("$artifact, ${delegate ?: CPU}, $count threads: ${error.message}")
                    }
                }
            }
        }
        return "{\"format\": \"pocketfit-benchmark\", \"version\": 1, \"where\": ${quoted(where)},\n" +
            " \"measured\": [${measured.joinToString(",\n  ")}],\n \"failed\": [${failed.joinToString(",\n  ")}]}\n"
    }

    private fun measure(
        artifact: Artifact,
        options: EngineOptions,
        runs: Int,
        seconds: Double,
    ): String {
        val opened = engines.open(artifact, options)
        return opened.engine.use { engine ->
            // Refused, lest the processor's time is read as that of the accelerator.
            opened.fallback?.let { throw PocketfitException(it) }
            val inputs = artifact.zeros()
            repeat(WARM_UPS) { engine.run(inputs) }
            val before = condition()
            val rounds = rounds(runs, seconds) { engine.run(inputs) }
            "{\"runtime\": ${quoted(artifact.runtime)}, \"precision\": ${quoted(artifact.precision)}, " +
                "\"device\": ${quoted(engine.device)}, \"threads\": ${options.threads}, " +
                "\"before\": ${json(before)}, \"after\": ${json(condition())}, \"rounds\": [$rounds]}"
        }
    }

    private fun rounds(
        runs: Int,
        seconds: Double,
        infer: () -> Unit,
    ): String {
        val begin = System.nanoTime()
        val rounds = mutableListOf<String>()
        do {
            val ms = median(LongArray(runs) { nanos(infer) }) / NANOS_PER_MILLI
            val over = (System.nanoTime() - begin) / NANOS_PER_SECOND
            rounds += "{\"seconds\": $over, \"ms\": $ms, \"runs\": $runs, \"statistic\": \"median\"}"
        } while (over < seconds)
        return rounds.joinToString(", ")
    }

    private fun nanos(infer: () -> Unit): Long {
        val begin = System.nanoTime()
        infer()
        return System.nanoTime() - begin
    }

    private fun median(values: LongArray): Double {
        values.sort()
        return (values[(values.size - 1) / 2] + values[values.size / 2]) / 2.0
    }

    private fun json(told: Condition): String =
        "{\"thermal_status\": ${told.thermalStatus}, \"battery_percent\": ${told.batteryPercent}, " +
            "\"battery_c\": ${told.batteryCelsius}, \"charging\": ${told.charging}}"

    private companion object {
        const val WARM_UPS = 5
        const val NANOS_PER_MILLI = 1e6
        const val NANOS_PER_SECOND = 1e9
    }
}

private fun quoted(text: String): String =
    text
        .fold(StringBuilder("\"")) { line, sign ->
            when {
                sign == '"' || sign == '\\' -> line.append('\\').append(sign)
                sign < ' ' -> line.append(' ')
                else -> line.append(sign)
            }
        }.append('"')
        .toString()
