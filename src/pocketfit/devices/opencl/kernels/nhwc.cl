// Buffers in NHWC order, channels filled up to a multiple of four and read as float4; a work-item computes TILE adjacent
// columns of one row for four filters. The channels of a pixel lie side by side, which suits a kernel that walks them in
// its inner loop, and therefore the taps are the outer ones here. Neighbouring work-items are all channels apart: their
// loads fall into different cache lines.
//
// Items: tiles of a row x rows x blocks of four filters. Weights: blocks of filters x taps x channels x 4 filters.

__kernel void convolve(__global const float4 *x, __global const float4 *weights, __global float4 *y) {
    const int column = get_global_id(0) * TILE;
    const int row = get_global_id(1);
    const int block = get_global_id(2);
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT || block >= FILTER_BLOCKS)
        return;

    float4 sums[TILE];
#pragma unroll
    for (int t = 0; t < TILE; t++)
        sums[t] = (float4)(0);
    for (int ky = 0; ky < KERNEL; ky++) {
        const int in_row = row * STRIDE - PADDING + ky;
        if (in_row < 0 || in_row >= HEIGHT)
            continue;
        for (int kx = 0; kx < KERNEL; kx++)
            for (int c = 0; c < CHANNEL_BLOCKS; c++) {
                __global const float4 *w =
                    weights + (((block * KERNEL + ky) * KERNEL + kx) * CHANNEL_BLOCKS + c) * 4;
#pragma unroll
                for (int t = 0; t < TILE; t++) {
                    const int in_column = (column + t) * STRIDE - PADDING + kx;
                    const float4 v = in_column >= 0 && in_column < WIDTH
                                         ? x[(in_row * WIDTH + in_column) * CHANNEL_BLOCKS + c]
                                         : (float4)(0);
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
            y[(row * OUT_WIDTH + column + t) * FILTER_BLOCKS + block] = sums[t];
}
