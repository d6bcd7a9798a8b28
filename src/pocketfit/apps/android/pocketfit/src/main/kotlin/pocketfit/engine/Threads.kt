package pocketfit.engine

import java.io.File
import java.io.IOException

/** How many threads an inference is given. */
object Threads {
    /** More make a phone hot before they make it fast. */
    private const val MOST = 4

    private val chosen: Int by lazy { best(File("/sys/devices/system/cpu")) }

    /** The cores that are faster than the slowest ones, 4 at most; where all are alike, half of them. */
    fun best(): Int = chosen

    /** [best] for clocks as Linux tells them below a folder. */
    internal fun best(folder: File): Int {
        val clocks = (0 until Runtime.getRuntime().availableProcessors()).mapNotNull { clock(folder, it) }
        val fast = clocks.count { it > clocks.min() }
        val cores = if (clocks.isEmpty()) Runtime.getRuntime().availableProcessors() else clocks.size
        return (if (fast > 0) fast else cores / 2).coerceIn(1, MOST)
    }

    private fun clock(
        folder: File,
        core: Int,
    ): Long? =
        try {
            File(folder, "cpu$core/cpufreq/cpuinfo_max_freq").readText().trim().toLongOrNull()
        } catch (_: IOException) {
            null
        }
}
