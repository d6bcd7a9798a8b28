// Activations in images: NC4HW4 laid out in two dimensions, a texel is four channels of a pixel, and the planes stand side
// by side, so that an image is channels / 4 x columns wide and rows high. Reads pass through the texture unit and its
// cache, where a device has them; a CPU has neither and computes in software what they would do. A row above or below
// the image reads as zero by the sampler; a column outside would be a pixel of the next plane, and is sent to -1 instead,
// which is outside as well. Weights stay in a buffer, in the order of nc4hw4.cl, so that the activations' memory is the
// only difference.
//
// Items: tiles of a row x rows x blocks of four filters.

__constant sampler_t SAMPLER = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP | CLK_FILTER_NEAREST;

__kernel void convolve(__read_only image2d_t x, __global const float4 *weights, __write_only image2d_t y) {
    const int column = get_global_id(0) * TILE;
    const int row = get_global_id(1);
    const int block = get_global_id(2);
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT || block >= FILTER_BLOCKS)
        return;

    float4 sums[TILE];
#pragma unroll
    for (int t = 0; t < TILE; t++)
        sums[t] = (float4)(0);
    for (int c = 0; c < CHANNEL_BLOCKS; c++)
        for (int ky = 0; ky < KERNEL; ky++) {
            const int in_row = row * STRIDE - PADDING + ky;
#pragma unroll
            for (int kx = 0; kx < KERNEL; kx++) {
                __global const float4 *w =
                    weights + (((block * CHANNEL_BLOCKS + c) * KERNEL + ky) * KERNEL + kx) * 4;
#pragma unroll
                for (int t = 0; t < TILE; t++) {
                    const int in_column = (column + t) * STRIDE - PADDING + kx;
                    const int texel = in_column >= 0 && in_column < WIDTH ? c * WIDTH + in_column : -1;
                    const float4 v = read_imagef(x, SAMPLER, (int2)(texel, in_row));
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
            write_imagef(y, (int2)(block * OUT_WIDTH + column + t, row), sums[t]);
}
