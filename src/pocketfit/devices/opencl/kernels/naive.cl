// The convolution as its formula stands: buffers in NCHW order, weights as filters x channels x rows x columns, one
// work-item for one output value. Nothing is reused: every product costs two loads of one float each. The sizes are
// constants of the compiler here as in the other kernels, so that what those gain is not gained by that alone.
//
// Items: columns x rows x filters.

__kernel void convolve(__global const float *x, __global const float *weights, __global float *y) {
    const int column = get_global_id(0);
    const int row = get_global_id(1);
    const int filter = get_global_id(2);
    if (column >= OUT_WIDTH || row >= OUT_HEIGHT || filter >= FILTERS)
        return;

    float sum = 0;
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int ky = 0; ky < KERNEL; ky++)
            for (int kx = 0; kx < KERNEL; kx++) {
                const int in_row = row * STRIDE - PADDING + ky;
                const int in_column = column * STRIDE - PADDING + kx;
                if (in_row >= 0 && in_row < HEIGHT && in_column >= 0 && in_column < WIDTH)
                    sum += x[(channel * HEIGHT + in_row) * WIDTH + in_column] *
                           weights[((filter * CHANNELS + channel) * KERNEL + ky) * KERNEL + kx];
            }
    y[(filter * OUT_HEIGHT + row) * OUT_WIDTH + column] = sum;
}
