package pocketfit.android

import android.graphics.ImageFormat
import java.nio.ByteBuffer
import pocketfit.Image
import pocketfit.PocketfitException

/** Frames of a camera in YUV_420_888 as the core takes them; the planes are read where they lie. */
class CameraFrame {
    /** The frame last taken, valid until it is closed. */
    val image: Image = Image()

    /** As EXIF counts, from the rotation in degrees that was handed over. */
    var orientation: Int = 1
        private set

    /**
     * Takes a frame of an ImageReader.
     *
     * @param rotation clockwise, by which it is to be turned to stand upright: 0, 90, 180 or 270.
     */
    fun take(
        frame: android.media.Image,
        rotation: Int,
    ): CameraFrame {
        if (frame.format != ImageFormat.YUV_420_888) {
            throw PocketfitException("the frame has the format ${frame.format}; ask the camera for YUV_420_888")
        }
        val (y, u, v) = frame.planes
        size(frame.width, frame.height, rotation)
        luma(y.buffer, y.rowStride, y.pixelStride)
        return chroma(u.buffer, v.buffer, u.rowStride, u.pixelStride)
    }

    /** For frames that come otherwise, such as CameraX's ImageProxy, whose planes have the same names. */
    fun size(
        width: Int,
        height: Int,
        rotation: Int,
    ): CameraFrame {
        image.width = width
        image.height = height
        orientation = orientationOf(rotation)
        return this
    }

    fun luma(
        y: ByteBuffer,
        rowStride: Int,
        pixelStride: Int,
    ): CameraFrame {
        image.y = y
        image.rowStride = rowStride
        image.pixelStride = pixelStride
        return this
    }

    fun chroma(
        u: ByteBuffer,
        v: ByteBuffer,
        rowStride: Int,
        pixelStride: Int,
    ): CameraFrame {
        image.u = u
        image.v = v
        image.chromaRowStride = rowStride
        image.chromaPixelStride = pixelStride
        return this
    }

    private fun orientationOf(rotation: Int): Int =
        when (rotation) {
            0 -> UPRIGHT
            90 -> TURNED_90
            180 -> TURNED_180
            270 -> TURNED_270
            else -> throw PocketfitException("the rotation is $rotation; it is 0, 90, 180 or 270")
        }

    private companion object {
        const val UPRIGHT = 1
        const val TURNED_90 = 6
        const val TURNED_180 = 3
        const val TURNED_270 = 8
    }
}
