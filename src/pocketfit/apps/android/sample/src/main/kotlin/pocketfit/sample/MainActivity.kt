package pocketfit.sample

import android.app.Activity
import android.content.Intent
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import pocketfit.PocketfitException
import pocketfit.android.Answer
import pocketfit.android.Answers
import pocketfit.android.Pocketfit

/** Says what is on a picture, and whether this phone gives the answers that it should. */
class MainActivity : Activity() {
    private val scope: CoroutineScope = MainScope()
    private lateinit var told: TextView
    private var opened: Pocketfit? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        told = TextView(this)
        val column = LinearLayout(this)
        column.orientation = LinearLayout.VERTICAL
        column.fitsSystemWindows = true
        column.addView(button(R.string.choose) { choose() })
        column.addView(button(R.string.test) { show { pocketfit().selfTest().joinToString("\n") } })
        column.addView(told)
        setContentView(column)
    }

    @Deprecated("Declared so by AndroidX, which this sample does without")
    override fun onActivityResult(
        requestCode: Int,
        resultCode: Int,
        data: Intent?,
    ) {
        val picture = data?.data ?: return
        show { words(classify(picture)) }
    }

    override fun onDestroy() {
        scope.cancel()
        opened?.close()
        super.onDestroy()
    }

    private fun button(
        text: Int,
        pressed: () -> Unit,
    ): Button {
        val made = Button(this)
        made.setText(text)
        made.setOnClickListener { pressed() }
        return made
    }

    @Suppress("DEPRECATION")
    private fun choose() {
        val wish = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        startActivityForResult(wish, 0)
    }

    private fun show(task: suspend () -> String) {
        scope.launch {
            told.text =
                try {
                    task()
                } catch (error: PocketfitException) {
                    error.message
                } catch (error: IOException) {
                    error.message
                }
        }
    }

    private suspend fun pocketfit(): Pocketfit = opened ?: Pocketfit.open(this).also { opened = it }

    private suspend fun classify(picture: Uri): Answers {
        val orientation = withContext(Dispatchers.IO) { orientation(picture) }
        val bitmap =
            withContext(Dispatchers.IO) {
                contentResolver.openInputStream(picture)?.use { BitmapFactory.decodeStream(it) }
            } ?: throw IOException("$picture is no picture")
        return pocketfit().classify(bitmap, orientation)
    }

    private fun orientation(picture: Uri): Int =
        contentResolver
            .openInputStream(picture)
            ?.use {
                ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)
            }?.takeIf { it > 0 } ?: 1

    private fun words(found: Answers): String =
        when {
            found.answers.isNotEmpty() -> found.answers.joinToString("\n", transform = ::line)
            else -> (found.embedding ?: found.outputs[0]).joinToString()
        }

    private fun line(answer: Answer): String =
        "${answer.label.ifEmpty { answer.index }}: ${answer.score}" + (answer.box?.let { " at $it" } ?: "")
}
