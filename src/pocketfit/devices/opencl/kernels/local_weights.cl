// As nc4hw4.cl, with the weights in local memory: a work-group shares one block of four filters, and copies the weights of
// LOCAL_BLOCKS blocks of channels at a time by async_work_group_copy before all its items use them. It pays where local
// memory is a memory of its own, close to the arithmetic. Where it is ordinary memory behind the same cache, as on most
// CPUs and on Mali GPUs, the copy and its barriers are work without a return.
//
// Every item of a group has to arrive at every barrier: none leaves early, those beyond the border only store nothing.
//
// Items: tiles of a row x rows x blocks of four filters; a group is one block of filters deep. Weights as in nc4hw4.cl.

#define TAPS (KERNEL * KERNEL)

__kernel void convolve(__global const float4 *x, __global const float4 *weights, __global float4 *y) {
    __local float4 held[LOCAL_BLOCKS * TAPS * 4];
    const int column = get_global_id(0) * TILE;
    const int row = get_global_id(1);
    const int block = get_global_id(2);

    float4 sums[TILE];
#pragma unroll
    for (int t = 0; t < TILE; t++)
        sums[t] = (float4)(0);
    for (int first = 0; first < CHANNEL_BLOCKS; first += LOCAL_BLOCKS) {
        const int blocks = min(LOCAL_BLOCKS, CHANNEL_BLOCKS - first);
        event_t copied = async_work_group_copy(held, weights + (block * CHANNEL_BLOCKS + first) * TAPS * 4,
                                               blocks * TAPS * 4, 0);
        wait_group_events(1, &copied);
        for (int c = 0; c < blocks; c++)
            for (int ky = 0; ky < KERNEL; ky++) {
                const int in_row = row * STRIDE - PADDING + ky;
                if (in_row < 0 || in_row >= HEIGHT)
                    continue;
#pragma unroll
                for (int kx = 0; kx < KERNEL; kx++) {
                    __local const float4 *w = held + (c * TAPS + ky * KERNEL + kx) * 4;
#pragma unroll
                    for (int t = 0; t < TILE; t++) {
                        const int in_column = (column + t) * STRIDE - PADDING + kx;
                        const float4 v = in_column >= 0 && in_column < WIDTH
                                             ? x[((first + c) * HEIGHT + in_row) * WIDTH + in_column]
                                             : (float4)(0);
                        sums[t] += v.s0 * w[0];
                        sums[t] += v.s1 * w[1];
                        sums[t] += v.s2 * w[2];
                        sums[t] += v.s3 * w[3];
                    }
                }
            }
        barrier(CLK_LOCAL_MEM_FENCE); // the next copy overwrites what a slower item may still read
    }
#pragma unroll
    for (int t = 0; t < TILE; t++)
        if (column + t < OUT_WIDTH && row < OUT_HEIGHT)
            y[(block * OUT_HEIGHT + row) * OUT_WIDTH + column + t] = sums[t];
}
