// Buffers in NCHW order; a work-item computes four adjacent columns of one row for four filters. Neighbours of a row lie
// side by side, so the four columns of one channel are one vector load where the stride is 1 and the border is far;
// elsewhere they are gathered one by one. What is loaded serves four filters. The price of NCHW shows at the end: the
// four filters are four planes, far from each other.
//
// Items: quarters of a row x rows x blocks of four filters. Weights: blocks of filters x channels x taps x 4 filters.

float4 four_columns(__global const float *line, int column) {
    if (STRIDE == 1 && column >= 0 && column + 3 < WIDTH)
        return vload4(0, line + column);
    float value[4];
#pragma unroll
    for (int t = 0; t < 4; t++) {
        const int at = column + t * STRIDE;
        value[t] = at >= 0 && at < WIDTH ? line[at] : 0;
    }
    return (float4)(value[0], value[1], value[2], value[3]);
}

void store(__global float *line, int column, float4 sum) {
    if (column + 3 < OUT_WIDTH) {
        vstore4(sum, 0, line + column);
        return;
    }
    const float value[4] = {sum.s0, sum.s1, sum.s2, sum.s3};
#pragma unroll
    for (int t = 0; t < 4; t++)
        if (column + t < OUT_WIDTH)
            line[column + t] = value[t];
}

__kernel void convolve(__global const float *x, __global const float4 *weights, __global float *y) {
    const int column = get_global_id(0) * 4;
    const int row = get_global_id(1);
    const int block = get_global_id(2);
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT || block >= FILTER_BLOCKS)
        return;

    float4 sums[4] = {(float4)(0), (float4)(0), (float4)(0), (float4)(0)};
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int ky = 0; ky < KERNEL; ky++) {
            const int in_row = row * STRIDE - PADDING + ky;
            if (in_row < 0 || in_row >= HEIGHT)
                continue;
            __global const float *line = x + (channel * HEIGHT + in_row) * WIDTH;
#pragma unroll
            for (int kx = 0; kx < KERNEL; kx++) {
                const float4 v = four_columns(line, column * STRIDE - PADDING + kx);
                const float4 w = weights[((block * CHANNELS + channel) * KERNEL + ky) * KERNEL + kx];
                sums[0] += v * w.s0;
                sums[1] += v * w.s1;
                sums[2] += v * w.s2;
                sums[3] += v * w.s3;
            }
        }
#pragma unroll
    for (int f = 0; f < 4; f++)
        store(y + ((block * 4 + f) * OUT_HEIGHT + row) * OUT_WIDTH, column, sums[f]);
}
