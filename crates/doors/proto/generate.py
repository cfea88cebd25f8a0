"""Prints the Rust messages of a .proto file: one struct per message, with the attributes by which `prost` encodes it.

`cargo xtask proto` runs it and keeps what it makes, so that a build needs no protoc. protoc itself (of grpcio-tools) reads the
file; this only prints what the descriptor says, and refuses what it does not know. No message can be printed: inputs are personal.
"""

import sys

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as F
from google.protobuf.descriptor_pb2 import FileDescriptorSet

SCALARS = {
    F.TYPE_STRING: ("string", "String"),
    F.TYPE_BYTES: ('bytes = "bytes"', "prost::bytes::Bytes"),
    F.TYPE_BOOL: ("bool", "bool"),
    F.TYPE_DOUBLE: ("double", "f64"),
    F.TYPE_INT32: ("int32", "i32"),
    F.TYPE_UINT32: ("uint32", "u32"),
    F.TYPE_UINT64: ("uint64", "u64"),
}


def snake_to_camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def main(path, name):
    with open(path, "rb") as file:
        files = FileDescriptorSet.FromString(file.read()).file
    file = next(file for file in files if file.name == name)
    comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}

    def about(place, indent=""):
        text = comments.get(tuple(place), "").strip()
        assert text, f"{name}: {place} has no comment"
        for line in text.splitlines():
            print(f"{indent}/// {line.strip()}")

    def kind(field):
        if field.type in SCALARS:
            return SCALARS[field.type]
        own = field.type_name.removeprefix(f".{file.package}.")
        if field.type == F.TYPE_ENUM:
            return f'enumeration = "{own}"', "i32"
        assert field.type == F.TYPE_MESSAGE, f"{field.name}: no such type is known here"
        return "message", field.type_name.replace(".google.protobuf.", "prost_types::") if own == field.type_name else own

    print(f"//! Messages of `{file.package}`, made by `cargo xtask proto` from proto/{name}: change that file, not this one.\n")
    for other in files:
        if other.package == file.package and other.name in file.dependency:
            module = "pb_" + other.name.rsplit("/", 1)[-1].removesuffix(".proto")
            print(f"pub(super) use super::{module}::{{{', '.join(message.name for message in other.message_type)}}};\n")
    for at, enum in enumerate(file.enum_type):
        about((5, at))
        print("#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]\n#[repr(i32)]")
        print(f"pub(super) enum {enum.name} {{")
        prefix = "".join("_" + c if c.isupper() else c.upper() for c in enum.name).lstrip("_") + "_"
        for index, value in enumerate(enum.value):
            about((5, at, 2, index), "    ")
            print(f"    {snake_to_camel(value.name.removeprefix(prefix).lower())} = {value.number},")
        print("}\n")
    for at, message in enumerate(file.message_type):
        assert not message.nested_type and not message.enum_type, f"{message.name}: nothing is nested here"
        about((4, at))
        print("#[derive(Clone, PartialEq, prost::Message)]\n#[prost(skip_debug)]")
        print(f"pub(super) struct {message.name} {{")
        choices = {}
        for index, field in enumerate(message.field):
            tag, rust = kind(field)
            if field.HasField("oneof_index") and not field.proto3_optional:
                choice = message.oneof_decl[field.oneof_index].name
                if choice not in choices:
                    same = [one for one in message.field if one.oneof_index == field.oneof_index and one.HasField("oneof_index")]
                    tags = ", ".join(str(one.number) for one in same)
                    enum = message.name + snake_to_camel(choice)
                    about((4, at, 8, field.oneof_index), "    ")
                    print(f'    #[prost(oneof = "{enum}", tags = "{tags}")]\n    pub(super) {choice}: Option<{enum}>,')
                    choices[choice] = (enum, field.oneof_index, [])
                choices[choice][2].append((index, field, tag, rust))
                continue
            label = ""
            if field.label == F.LABEL_REPEATED:
                label, rust = ", repeated", f"Vec<{rust}>"
            elif field.proto3_optional or field.type == F.TYPE_MESSAGE:
                label, rust = ", optional", f"Option<{rust}>"
            about((4, at, 2, index), "    ")
            print(f'    #[prost({tag}{label}, tag = "{field.number}")]\n    pub(super) {field.name}: {rust},')
        print("}\n")
        for enum, place, fields in choices.values():
            about((4, at, 8, place))
            print("#[derive(Clone, PartialEq, prost::Oneof)]\n#[prost(skip_debug)]")
            if enum.endswith("Result"):
                print('#[expect(clippy::large_enum_variant, reason = "a result is made, sent and gone")]')
            print(f"pub(super) enum {enum} {{")
            for index, field, tag, rust in fields:
                about((4, at, 2, index), "    ")
                print(f'    #[prost({tag}, tag = "{field.number}")]\n    {snake_to_camel(field.name)}({rust}),')
            print("}\n")


main(*sys.argv[1:])
