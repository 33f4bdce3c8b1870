"""What the data mean: findings, signature, timeline, differences. Tables in, tables out."""
