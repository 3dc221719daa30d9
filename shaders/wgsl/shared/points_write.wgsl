// Writes the column `points`. Goes beside shared/points.wgsl.

fn store_coordinate(word: u32, row: u32, value: Element) {
    let o = place(word, row, 24u);
    points[o] = value.a.x;
    points[o + 64u] = value.a.y;
    points[o + 128u] = value.a.z;
    points[o + 192u] = value.a.w;
    points[o + 256u] = value.b.x;
    points[o + 320u] = value.b.y;
    points[o + 384u] = value.b.z;
    points[o + 448u] = value.b.w;
}

fn store_point(row: u32, point: Point) {
    store_coordinate(0u, row, point.x);
    store_coordinate(8u, row, point.y);
    store_coordinate(16u, row, point.z);
}
