//! The Go program in `tests/go` agrees on an untouched ledger and disagrees on a touched one.

use std::{fs, path::Path, process::Command};

use tendon_kernel::sockets::ledger::Ledger as _;

use super::{Bench, decision, open_book};

fn go(folder: &Path, key: &str, older: &Path) -> (bool, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    let output = Command::new("go")
        .args(["run", "."])
        .args([folder.join("ledger/main").as_os_str(), key.as_ref(), older.as_os_str()])
        .current_dir(program)
        .output()
        .expect("Go runs: install it (Debian package golang-go)");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn public_tools_verify_the_ledger() {
    let bench = Bench::new(41);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        let mut older = String::new();
        for number in 0..1100u64 {
            book.commit(vec![decision(&context, &format!("s{}", number % 40), number, None)]).await.unwrap();
            if number == 299 {
                older = book.checkpoint().await.unwrap();
            }
        }
        book.close().await.unwrap();
        (book.public_key().to_owned(), older)
    };
    let (key, older) = bench.sim.run(run).done();
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in bench.sim.disk().dump() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let older_file = folder.path().join("older");
    fs::write(&older_file, &older).unwrap();
    let (good, text) = go(folder.path(), &key, &older_file);
    assert!(good && text.trim() == "leaves=1100 older=300", "{text}");
    let tile = folder.path().join("ledger/main/tile/entries/002");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[1000] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let (good, text) = go(folder.path(), &key, &older_file);
    assert!(!good && text.contains("check leaf 51"), "{text}");
}
