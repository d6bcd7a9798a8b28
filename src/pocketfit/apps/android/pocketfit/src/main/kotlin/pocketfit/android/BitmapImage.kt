package pocketfit.android

import android.graphics.Bitmap
import java.nio.Buffer
import java.nio.ByteBuffer
import pocketfit.Image
import pocketfit.PocketfitException

/** The pixels of bitmaps as the core takes them, in a buffer that is kept as long as they are of one size. */
class BitmapImage {
    /** The bitmap last taken. */
    val image: Image = Image()

    private var pixels: ByteBuffer = ByteBuffer.allocateDirect(0)

    /** Copies a bitmap of the config ARGB_8888, whose bytes in memory are red, green, blue and alpha. */
    fun take(bitmap: Bitmap): Image {
        if (bitmap.config != Bitmap.Config.ARGB_8888) {
            throw PocketfitException("the bitmap is ${bitmap.config}; make it by copy(Bitmap.Config.ARGB_8888, false)")
        }
        if (pixels.capacity() != bitmap.byteCount) {
            pixels = ByteBuffer.allocateDirect(bitmap.byteCount)
        }
        (pixels as Buffer).rewind()
        bitmap.copyPixelsToBuffer(pixels)
        image.y = pixels
        image.height = bitmap.height
        image.width = bitmap.width
        image.rowStride = bitmap.rowBytes
        image.pixelStride = CHANNELS
        return image
    }

    private companion object {
        const val CHANNELS = 4
    }
}
