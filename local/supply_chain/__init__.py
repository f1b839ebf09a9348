"""What is deployed beside our own code: packages as pinned, a bill of materials, licences."""
