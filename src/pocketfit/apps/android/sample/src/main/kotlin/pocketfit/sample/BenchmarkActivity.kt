package pocketfit.sample

import android.app.Activity
import android.os.Bundle
import android.util.Log
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import pocketfit.PocketfitException
import pocketfit.android.Pocketfit

/**
 * Times the bundle's artifacts and writes the JSON that `pocketfit measure --benchmark` reads:
 *
 *     adb shell am start -n pocketfit.sample/.BenchmarkActivity --es threads 1,4 --es delegates cpu,gpu --ei seconds 60
 *     adb pull /sdcard/Android/data/pocketfit.sample/files/pocketfit-benchmark.json
 */
class BenchmarkActivity : Activity() {
    private val scope: CoroutineScope = MainScope()

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val file = File(getExternalFilesDir(null), "pocketfit-benchmark.json")
        file.delete()
        scope.launch {
            try {
                file.writeText(benchmark())
                Log.i(TAG, "wrote $file")
            } catch (error: PocketfitException) {
                Log.e(TAG, "nothing was timed", error)
            }
            finish()
        }
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private suspend fun benchmark(): String {
        val threads = words("threads", "1").mapNotNull { it.toIntOrNull()?.takeIf { count -> count > 0 } }
        val delegates = words("delegates", "cpu").map { it.takeIf { name -> name != "cpu" } }
        val runs = intent.getIntExtra("runs", RUNS).coerceAtLeast(1)
        val seconds = intent.getIntExtra("seconds", 0).toDouble()
        return Pocketfit.open(applicationContext).use {
            it.benchmark(delegates, threads.ifEmpty { listOf(1) }, runs, seconds)
        }
    }

    private fun words(
        name: String,
        otherwise: String,
    ): List<String> = (intent.getStringExtra(name) ?: otherwise).split(',')

    private companion object {
        const val TAG = "pocketfit"
        const val RUNS = 50
    }
}
