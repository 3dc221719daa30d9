// The column `points`: a point of each row, in Jacobian coordinates, or three other numbers. Goes beside shared/tiles.wgsl and
// shared/number.wgsl, in a stage that has the column.

// The point (x / z^2, y / z^3); z = 0: none, or none that is known.
struct Point {
    x: Element,
    y: Element,
    z: Element,
}

fn load_coordinate(word: u32, row: u32) -> Element {
    let o = place(word, row, 24u);
    return Element(
        vec4<u32>(points[o], points[o + 64u], points[o + 128u], points[o + 192u]),
        vec4<u32>(points[o + 256u], points[o + 320u], points[o + 384u], points[o + 448u]),
    );
}

fn load_point(row: u32) -> Point {
    return Point(load_coordinate(0u, row), load_coordinate(8u, row), load_coordinate(16u, row));
}
