"""What dumps say when they are put together: timelines and differences. Tables in, tables out."""
