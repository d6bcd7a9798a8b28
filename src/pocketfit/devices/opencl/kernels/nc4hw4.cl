// Buffers in NC4HW4 order: blocks of four channels, each a plane of float4; a work-item computes TILE adjacent columns of
// one row for four filters. One load brings four channels of a pixel, and neighbouring work-items load neighbouring
// addresses: the vector width of NHWC with the locality of NCHW. Each weight serves TILE columns from a register.
//
// With HALF it stores and adds in half precision; the arithmetic is the same text, so that a device without halves can
// still check the kernel's indices.
//
// Items: tiles of a row x rows x blocks of four filters. Weights: blocks of filters x channels / 4 x taps x 4 channels
// x 4 filters.

#ifdef HALF
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
typedef half4 real4;
#else
typedef float4 real4;
#endif

__kernel void convolve(__global const real4 *x, __global const real4 *weights, __global real4 *y) {
    const int column = get_global_id(0) * TILE;
    const int row = get_global_id(1);
    const int block = get_global_id(2);
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT || block >= FILTER_BLOCKS)
        return;

    real4 sums[TILE];
#pragma unroll
    for (int t = 0; t < TILE; t++)
        sums[t] = (real4)(0);
    for (int c = 0; c < CHANNEL_BLOCKS; c++)
        for (int ky = 0; ky < KERNEL; ky++) {
            const int in_row = row * STRIDE - PADDING + ky;
            if (in_row < 0 || in_row >= HEIGHT)
                continue;
#pragma unroll
            for (int kx = 0; kx < KERNEL; kx++) {
                __global const real4 *w =
                    weights + (((block * CHANNEL_BLOCKS + c) * KERNEL + ky) * KERNEL + kx) * 4;
#pragma unroll
                for (int t = 0; t < TILE; t++) {
                    const int in_column = (column + t) * STRIDE - PADDING + kx;
                    const real4 v = in_column >= 0 && in_column < WIDTH
                                        ? x[(c * HEIGHT + in_row) * WIDTH + in_column]
                                        : (real4)(0);
                    sums[t] += v.s0 * w[0];
                    sums[t] += v.s1 * w[1];
                    sums[t] += v.s2 * w[2];
                    sums[t] += v.s3 * w[3];
                }
            }
        }
#pragma unroll
    for (int t = 0; t < TILE; t++)
        if (column + t < OUT_WIDTH)
            y[(block * OUT_HEIGHT + row) * OUT_WIDTH + column + t] = sums[t];
}
