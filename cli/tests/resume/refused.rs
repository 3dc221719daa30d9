//! What `--state` and `--resume` refuse, and that nothing is lost by it.

use super::*;

#[test]
fn states_of_something_else() {
    let Some(world) = World::new("states_of_something_else", "execapis") else { return };
    let Some(other) = World::new("states_of_something_else", "geth600") else { return };
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    let with = |more: &[&'static str]| -> Vec<String> {
        [&["--split", "10blocks", "--state", text(&state)], more].concat().into_iter().map(str::to_owned).collect()
    };
    let import = |code: i32, world: &World, output: &Path, more: &[String]| {
        run(code, &world.import(output, &more.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    import(0, &world, &output, &with(&[]));
    let whole = files(&folder);
    let refuse = |world: &World, output: &Path, more: &[String], reason: &str| {
        let said = said(&import(3, world, output, more));
        assert!(said.contains(reason) && said.contains("hint: "), "{reason}: {said}");
        assert!(files(&folder) == whole, "{reason}: files stay");
    };
    refuse(&world, &output, &with(&[]), "--resume goes on from there");
    refuse(&other, &output, &with(&["--resume"]), "genesis");
    refuse(&world, &output, &with(&["--resume", "--chain", "sepolia"]), "genesis");
    refuse(&world, &folder.join("other.mana"), &with(&["--resume"]), "files");
    // Without a state there is no going on, and no overwriting.
    refuse(&world, &output, &["--split".into(), "10blocks".into()], "is there already");

    let second = folder.join("chain-000000000010.mana");
    for (bytes, reason) in
        [(None, "is not there; the state names it"), (Some("short"), "has 5 bytes; the state names it")]
    {
        match bytes {
            None => std::fs::remove_file(&second).expect("removed"),
            Some(bytes) => std::fs::write(&second, bytes).expect("written"),
        }
        let said = said(&import(3, &world, &output, &with(&["--resume"])));
        assert!(said.contains(reason) && said.contains("chain-000000000010.mana"), "{said}");
    }
    std::fs::write(&second, &whole["chain-000000000010.mana"]).expect("written");

    // A source that ends before, and one that has another block there.
    let bytes = read(&world.chain);
    let mut rest = &bytes[..];
    let first = alloy_rlp::Header::decode(&mut rest).expect("a list").payload_length;
    let short = World { folder: tempfile::tempdir().expect("a folder"), ..world_of(&world) };
    let short = World { chain: short.path("chain.rlp"), ..short };
    std::fs::write(&short.chain, &bytes[..bytes.len() - rest.len() + first]).expect("written");
    refuse(&short, &output, &with(&["--resume"]), "the source ends before block");
    import(0, &world, &output, &with(&["--resume"]));
    assert!(files(&folder) == whole, "nothing has come since");
}

fn world_of(world: &World) -> World {
    World { folder: tempfile::tempdir().expect("a folder"), chain: world.chain.clone(), genesis: world.genesis.clone() }
}

#[test]
fn folders_that_are_no_state() {
    let Some(world) = World::new("folders_that_are_no_state", "execapis") else { return };
    let output = world.path("chain.mana");
    let state = world.out("state");
    std::fs::write(state.join("letter"), "dear").expect("written");
    let refused = said(&run(3, &world.import(&output, &["--state", text(&state)])));
    assert!(refused.contains("letter: is there, and no part of an import's state"), "{refused}");
    std::fs::remove_file(state.join("letter")).expect("removed");
    std::fs::write(state.join("state.redb"), "not at all").expect("written");
    run(3, &world.import(&output, &["--state", text(&state)]));
    assert!(!output.exists());
}

#[test]
fn options_that_make_no_sense() {
    let Some(world) = World::new("options_that_make_no_sense", "execapis") else { return };
    let (output, state) = (world.path("chain.mana"), world.path("state"));
    for more in [
        &["--resume"][..],
        &["--resume", "--split", "1GiB"],
        &["--resume", "--state", text(&state)],
        &["--memory", "1GiB"],
        &["--split", "0blocks"],
        &["--split", "1GB"],
        &["--state", text(&state), "--memory", "0"],
    ] {
        run(2, &world.import(&output, more));
    }
    assert!(!state.exists());
    let folder = world.folder.path();
    assert!(said(&run(2, &world.import(&output, &["--state", text(folder)]))).contains("is the folder of the output"));
    // A state belongs to a chain from genesis.
    let Some(data) = manaflow_datasets::data_for("resume: options_that_make_no_sense") else { return };
    let snapshot = data.join("mainnet/blocks/46147");
    let line = ["import", text(&snapshot), "--output", text(&output), "--state", text(&state)];
    assert!(said(&run(2, &line)).contains("one chain from its genesis"));
}

#[test]
fn two_imports_cannot_share_a_state() {
    let Some(world) = World::new("two_imports_cannot_share_a_state", "execapis") else { return };
    let (folder, state) = (world.out("out"), world.out("state"));
    let lock = std::fs::File::create(state.join("lock")).expect("created");
    lock.lock().expect("locked");
    let args = world.import(&folder, &[]).len();
    let output = folder.join("chain.mana");
    let line = world.import(&output, &["--split", "10blocks", "--state", text(&state)]);
    assert!(line.len() > args && said(&run(4, &line)).contains("another import uses this state"));
    drop(lock);
    run(0, &line);
}

/// What has the name of a file that would be written, and is none of this chain, stays; and what was written last must be as it
/// was.
#[test]
fn files_that_are_not_of_the_chain() {
    let Some(world) = World::new("files_that_are_not_of_the_chain", "execapis") else { return };
    let Some(other) = World::new("files_that_are_not_of_the_chain", "geth600") else { return };
    let foreign = other.path("other.mana");
    run(0, &other.import(&foreign, &[]));
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    let line = world.import(&output, &["--split", "10blocks", "--state", text(&state), "--resume"]);
    let first = folder.join("chain-000000000000.mana");
    for (bytes, words) in
        [(read(&foreign), "is of a chain with other rules"), (b"a letter".to_vec(), "chain-000000000000.mana")]
    {
        std::fs::write(&first, &bytes).expect("written");
        let said = said(&run(3, &line));
        assert!(said.contains(words) && said.contains("chain-000000000000.mana"), "{said}");
        assert!(read(&first) == bytes && files(&folder).len() == 1);
    }
    std::fs::remove_file(&first).expect("removed");
    run(0, &line);
    let whole = files(&folder);
    // Beyond the state: of this chain it is written again, anything else is not touched.
    let beyond = folder.join("chain-000000000060.mana");
    std::fs::write(&beyond, read(&foreign)).expect("written");
    assert!(said(&run(3, &line)).contains("chain-000000000060.mana"));
    assert!(read(&beyond) == read(&foreign));
    std::fs::remove_file(&beyond).expect("removed");
    let last = folder.join(whole.keys().next_back().expect("files"));
    let mut bytes = read(&last);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&last, &bytes).expect("written");
    let refused = said(&run(3, &line));
    assert!(refused.contains(text(&last)), "{refused}");
    std::fs::write(&last, &whole[whole.keys().next_back().expect("files")]).expect("written");
    run(0, &line);
    assert!(files(&folder) == whole);
}

/// A store with a damaged page is refused by name, and never used: neither a wrong file nor a panic comes of it.
#[test]
fn a_damaged_state() {
    let Some(world) = World::new("a_damaged_state", "execapis") else { return };
    let (folder, state, other) = (world.out("out"), world.path("state"), world.out("whole"));
    let begun = World { chain: world.path("begun.rlp"), genesis: world.genesis.clone(), ..world_of(&world) };
    let bytes = read(&world.chain);
    let mut rest = &bytes[..];
    // With block 0, three full files: those of the whole, however far the state goes back.
    for _ in 0..29 {
        let length = alloy_rlp::Header::decode(&mut rest).expect("a list").payload_length;
        rest = &rest[length..];
    }
    std::fs::write(&begun.chain, &bytes[..bytes.len() - rest.len()]).expect("written");
    let options = ["--split", "10blocks", "--state", text(&state)];
    run(0, &begun.import(&folder.join("chain.mana"), &options));
    run(0, &world.import(&other.join("chain.mana"), &["--split", "10blocks"]));
    let (store, written, whole) = (read(&state.join("state.redb")), files(&folder), files(&other));
    let mut draw = draw();
    let (mut refused, mut taken, output) = (0, 0, folder.join("chain.mana"));
    let resume = [&options[..], &["--resume"]].concat();
    for i in 0..60 {
        let mut damaged = store.clone();
        let place = draw.below(damaged.len());
        match i % 3 {
            0 => damaged[place / 4096 * 4096..][..4096].fill(0xff),
            _ => damaged[place] ^= 1 << draw.below(8),
        }
        std::fs::write(state.join("state.redb"), &damaged).expect("written");
        let ended = command(&world.import(&output, &resume)).output().expect("it starts");
        let said = said(&ended);
        match ended.status.code() {
            Some(0) => {
                taken += 1;
                assert!(files(&folder) == whole, "byte {place}: other files");
            }
            Some(3) => {
                refused += 1;
                assert!(said.contains(text(&state)) && said.contains("hint: "), "byte {place}: {said}");
                assert!(files(&folder) == written, "byte {place}: files stay");
            }
            other => panic!("byte {place}: {other:?}: {said}"),
        }
        assert!(!said.contains("panicked"), "byte {place}: {said}");
        std::fs::remove_dir_all(&folder).expect("removed");
        std::fs::create_dir(&folder).expect("created");
        written.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).expect("written"));
    }
    // Pages that hold nothing may be anything.
    assert!(refused > 0 && taken > 0, "{refused} refused, {taken} taken");
}
