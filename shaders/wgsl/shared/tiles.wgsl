// Columns of many rows: 64 rows are a tile, and a tile of a column of `words` words a row lies word after word, the 64 rows of
// each side by side. So neighbours read neighbouring words, and a tile is filled or read without a look at others.

fn place(word: u32, row: u32, words: u32) -> u32 {
    return (row / 64u * words + word) * 64u + row % 64u;
}
